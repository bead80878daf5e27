/**
 * Values that a later read of smaps corrects. Estimates while memory was at rest have the same
 * error as the estimate that the read replaced. Bounds stay as they were, since copy-on-write moves
 * no counter of RSS.
 */
import type { Estimate } from './meters.ts';
import type { ProcessRow } from './watch_model.ts';

export type Sums<Name extends string> = Readonly<Record<Name, Estimate>>;

interface Waiting<Name extends string> {
  readonly atMs: number;
  readonly rows: readonly ProcessRow[];
  readonly sums: Sums<Name>;
}

/** At ten samples a second two minutes; what waits for longer is taken as it was estimated. */
const mostWaiting = 1200;

/** A read that takes longer than so many samples is not of one moment anyway. */
const mostMixed = 5;

/** A read of smaps is complete when it was of so much of the group's RSS. */
const enough = 0.95;

export class LateSums<Name extends string> {
  readonly #deliver: (atMs: number, sums: Sums<Name>) => void;
  #waiting: Waiting<Name>[] = [];
  /** The rows at the last read. */
  #passed: readonly ProcessRow[] = [];
  #passedAtMs = -1;
  /** The last sums that were not made in the middle of a read, and how many there were since. */
  #steady: Sums<Name> | null = null;
  #mixed = 0;

  /** `deliver` gets every sum once, in the order of time. */
  constructor(deliver: (atMs: number, sums: Sums<Name>) => void) {
    this.#deliver = deliver;
  }

  add(atMs: number, rows: readonly ProcessRow[], sums: Sums<Name>): void {
    const part = this.#readPart(rows);
    if (part >= enough) {
      this.#correct(sums);
      this.flush();
      this.#passed = rows;
      this.#passedAtMs = Math.max(...rows.map((row) => row.passedAtMs ?? 0));
      this.#settled(sums);
      this.#deliver(atMs, sums);
      return;
    }
    // In the middle of a read some know already what they share, and others not yet.
    const isMixed = part > 0 && this.#mixed < mostMixed && this.#steady !== null;
    if (isMixed) this.#mixed++;
    else this.#settled(sums);
    this.#waiting.push({ atMs, rows, sums: this.#steady ?? sums });
    if (this.#waiting.length <= mostWaiting) return;
    const oldest = this.#waiting.shift() as Waiting<Name>;
    this.#deliver(oldest.atMs, oldest.sums);
  }

  /** All that waits is taken as it is: there will be no other read. */
  flush(): void {
    for (const { atMs, sums } of this.#waiting) this.#deliver(atMs, sums);
    this.#waiting = [];
  }

  #settled(sums: Sums<Name>): void {
    this.#steady = sums;
    this.#mixed = 0;
  }

  /** How much of the group's RSS has been read since the last whole read. */
  #readPart(rows: readonly ProcessRow[]): number {
    let [read, all] = [0, 0];
    for (const { rssBytes, passedAtMs } of rows) {
      all += rssBytes ?? 0;
      if ((passedAtMs ?? -1) > this.#passedAtMs) read += rssBytes ?? 0;
    }
    return all === 0 ? 0 : read / all;
  }

  #correct(now: Sums<Name>): void {
    const last = this.#waiting.at(-1);
    if (last === undefined) return;
    const way = distance(this.#passed, last.rows);
    this.#waiting = this.#waiting.map((one) => {
      // 1: as it is at the read; 0: as it was at the one before.
      const nearness = way === 0 ? 1 : Math.max(0, 1 - distance(one.rows, last.rows) / way);
      const sums = {} as Record<Name, Estimate>;
      for (const name of Object.keys(now) as Name[]) {
        const wrongBy = now[name].value - last.sums[name].value;
        const { value, low, high } = one.sums[name];
        sums[name] = {
          value: Math.min(high, Math.max(low, value + wrongBy * nearness)),
          low,
          high,
        };
      }
      return { ...one, sums };
    });
  }
}

const moving = ['rssAnonBytes', 'rssFileBytes', 'rssShmemBytes'] as const;

/** How far the counters of a group are apart at two moments; a process that is missing has none. */
function distance(a: readonly ProcessRow[], b: readonly ProcessRow[]): number {
  const before = new Map(a.map((row) => [row.pid, row]));
  let sum = 0;
  for (const row of b) {
    const other = before.get(row.pid);
    before.delete(row.pid);
    for (const field of moving) sum += Math.abs((row[field] ?? 0) - (other?.[field] ?? 0));
  }
  for (const row of before.values()) for (const field of moving) sum += row[field] ?? 0;
  return sum;
}
