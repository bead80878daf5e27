/** What a cgroup is charged at the most, and what of it the kernel could not take back. */
import { known, type MeterPeak, PeakMeter } from './meters.ts';

/** What a cgroup is charged at one moment; null: not known, or there is none. */
export interface CgroupLook {
  readonly version: 1 | 2;
  readonly currentBytes: number | null;
  /** The kernel's own high-water mark, of all the time that there is the cgroup. */
  readonly peakBytes: number | null;
  readonly anonBytes: number | null;
  /** Page cache and the like, which is given up before anybody is killed. */
  readonly reclaimableBytes: number | null;
}

export class CgroupMeter {
  readonly #charged: PeakMeter;
  readonly #held: PeakMeter;
  /** Of the kernel: at the first look, which may be of before the watch, and by now. */
  #firstPeak: number | null = null;
  #peak: number | null = null;

  constructor(limitBytes: number | null) {
    this.#charged = new PeakMeter(null);
    this.#held = new PeakMeter(limitBytes);
  }

  add(atMs: number, { currentBytes, peakBytes, reclaimableBytes }: CgroupLook): void {
    this.#firstPeak ??= peakBytes;
    this.#peak = peakBytes ?? this.#peak;
    if (currentBytes === null) return;
    this.#charged.add(atMs, known(currentBytes));
    this.#held.add(atMs, known(Math.max(0, currentBytes - (reclaimableBytes ?? 0))));
  }

  /**
   * What was charged. The kernel's mark counts where it rose while we looked; otherwise it may be
   * older than the watch, and is what the peak can have been at the most.
   */
  charged(): MeterPeak {
    const result = this.#charged.result();
    if (result.peakBytes === null || this.#peak === null) return result;
    const most = Math.max(result.peakBytes, this.#peak);
    const peakBytes = this.hasKernelPeak() ? most : result.peakBytes;
    return { ...result, peakBytes, rangeBytes: [peakBytes, most] };
  }

  /** Whether the peak is the kernel's own, and not that of our looks. */
  hasKernelPeak(): boolean {
    return this.#peak !== null && this.#firstPeak !== null && this.#peak > this.#firstPeak;
  }

  /** What counts against a limit: at the most all that was charged between two looks as well. */
  held(): MeterPeak {
    const result = this.#held.result();
    const { peakBytes, rangeBytes } = this.charged();
    if (result.peakBytes === null || peakBytes === null || rangeBytes === null) return result;
    const unseen = rangeBytes[1] - (this.#charged.result().peakBytes ?? 0);
    return { ...result, rangeBytes: [result.peakBytes, result.peakBytes + unseen] };
  }
}
