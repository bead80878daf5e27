/** High-water marks: of what is looked at all the time, and of what is looked at now and then. */

/** A value at one moment, and between which bounds it is. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** What is no estimate. */
export function known(bytes: number): Estimate {
  return { value: bytes, low: bytes, high: bytes };
}

export interface MeterPeak {
  readonly peakBytes: number | null;
  readonly atMs: number | null;
  readonly rangeBytes: readonly [number, number] | null;
  /** When the limit was passed at the earliest and at the latest; null: it was not, or may not. */
  readonly passedMs: { readonly earliest: number | null; readonly latest: number | null };
}

/** The highest of all values. */
export class PeakMeter {
  readonly #limit: number;
  #peak: (Estimate & { atMs: number }) | null = null;
  #low = 0;
  #high = 0;
  #earliest: number | null = null;
  #latest: number | null = null;

  constructor(limitBytes: number | null) {
    this.#limit = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, one: Estimate): void {
    if (this.#peak === null || one.value > this.#peak.value) this.#peak = { ...one, atMs };
    this.#low = Math.max(this.#low, one.low);
    this.#high = Math.max(this.#high, one.high);
    if (one.high > this.#limit) this.#earliest ??= atMs;
    if (one.low > this.#limit) this.#latest ??= atMs;
  }

  result(): MeterPeak {
    return {
      peakBytes: this.#peak?.value ?? null,
      atMs: this.#peak?.atMs ?? null,
      rangeBytes: this.#peak && [this.#low, this.#high],
      passedMs: { earliest: this.#earliest, latest: this.#latest },
    };
  }
}

interface Look {
  readonly atMs: number;
  readonly estimate: Estimate;
}

/** What the samples of one phase have seen by now. Its moment may be anywhere in its step. */
interface Phase {
  low: number;
  high: number;
  earliest: number | null;
  latest: number | null;
  /** The step that it is in, or was in last, and the lowest that its moment can have met there. */
  step: number;
  stepLow: number;
  stepEndMs: number;
}

const mostPhases = 1000;

/**
 * The highest of the values at every `periodMs`, beginning at a moment that is not known: for each
 * phase that the samples can have, the highest that they would have met. Between two of our looks
 * the value is taken to be between theirs.
 */
export class PhaseMeter {
  readonly #stepMs: number;
  readonly #limit: number;
  readonly #phases: Phase[];
  #last: Look | null = null;
  #peak: { value: number; atMs: number } | null = null;

  constructor(options: { periodMs: number; intervalMs: number; limitBytes: number | null }) {
    const { periodMs, intervalMs, limitBytes } = options;
    const count = Math.min(mostPhases, Math.max(1, Math.ceil(periodMs / intervalMs)));
    this.#stepMs = periodMs / count;
    this.#limit = limitBytes ?? Number.POSITIVE_INFINITY;
    this.#phases = Array.from({ length: count }, () => ({
      low: 0,
      high: 0,
      earliest: null,
      latest: null,
      step: -1,
      stepLow: 0,
      stepEndMs: 0,
    }));
  }

  add(atMs: number, estimate: Estimate): void {
    if (this.#peak === null || estimate.value > this.#peak.value)
      this.#peak = { value: estimate.value, atMs };
    const last = this.#last;
    this.#last = { atMs, estimate };
    if (last === null) this.#addFirst(atMs, estimate);
    else this.#addBetween(last, { atMs, estimate });
  }

  #addBetween(last: Look, { atMs, estimate }: Look): void {
    const low = Math.min(last.estimate.low, estimate.low);
    const high = Math.max(last.estimate.high, estimate.high);
    // Phases whose moment lies between the two looks; all of them, twice, when they are far apart.
    const from = Math.floor(last.atMs / this.#stepMs);
    const to = Math.min(Math.floor(atMs / this.#stepMs), from + 2 * this.#phases.length);
    for (let step = from; step <= to; step++) {
      const phase = this.#phases[step % this.#phases.length] as Phase;
      if (phase.step !== step) this.#close(phase);
      const isNew = phase.step !== step;
      phase.stepLow = isNew ? low : Math.min(phase.stepLow, low);
      phase.step = step;
      phase.stepEndMs = atMs;
      phase.high = Math.max(phase.high, high);
      if (high > this.#limit) phase.earliest ??= last.atMs;
    }
  }

  /** One look alone shows what an accountant may meet, and nothing that it must. */
  #addFirst(atMs: number, { high }: Estimate): void {
    const step = Math.floor(atMs / this.#stepMs);
    const phase = this.#phases[step % this.#phases.length] as Phase;
    phase.high = Math.max(phase.high, high);
    if (high > this.#limit) phase.earliest ??= atMs;
  }

  /** The phase's moment in its step has been: it has met at least `stepLow`. */
  #close(phase: Phase): void {
    if (phase.step < 0) return;
    phase.low = Math.max(phase.low, phase.stepLow);
    if (phase.stepLow > this.#limit) phase.latest ??= phase.stepEndMs;
  }

  result(): MeterPeak {
    for (const phase of this.#phases) this.#close(phase);
    const lows = this.#phases.map((phase) => phase.low);
    const highs = this.#phases.map((phase) => phase.high);
    const latest = this.#phases.map((phase) => phase.latest);
    const earliest = this.#phases.flatMap((phase) => phase.earliest ?? []);
    return {
      peakBytes: this.#peak?.value ?? null,
      atMs: this.#peak?.atMs ?? null,
      rangeBytes: this.#peak && [Math.min(...lows), Math.max(...highs)],
      passedMs: {
        earliest: earliest.length > 0 ? Math.min(...earliest) : null,
        latest: latest.includes(null) ? null : Math.max(...(latest as number[])),
      },
    };
  }
}
