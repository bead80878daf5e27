/** A capture as an object to ask. */
import { checkedPath, checkNumber, readCaptureReport, readCaptureStats } from './capture.ts';
import type { CaptureReport, CaptureStats, ReportOptions } from './capture_model.ts';

/**
 * A capture, for as many questions as one has. Every question is one pass over the file (two for a
 * timeline) on libuv's pool, about a second per 20 M events; nothing is kept between two of them,
 * and there is nothing to close. Sizes are in bytes, times in ms since the capture began. A damaged
 * one gives the records before the damage, and `stats.damage` says where and why.
 *
 * All questions reject with a MemdriftError: ERR_GONE, ERR_DENIED, ERR_MALFORMED (not a capture),
 * ERR_UNSUPPORTED (of a version that this reader does not know).
 */
export class Capture {
  readonly path: string;

  /** @throws MemdriftError ERR_INVALID for what is no path. */
  constructor(path: string) {
    this.path = checkedPath(path);
  }

  /** Totals, sizes and allocators; the cheapest question, since no function is named. */
  stats(): Promise<CaptureStats> {
    return readCaptureStats(this.path);
  }

  /**
   * What each stack held when all together held the most. `rows` are columns; `tableRows(report,
   * 10)` has the largest with their stacks, and `functionTotals(report)` the functions.
   */
  peak(): Promise<CaptureReport> {
    return readCaptureReport(this.path, { moment: 'peak' });
  }

  /**
   * Returns what each stack held at the end: memory that was never freed. `tailPercent` leaves out
   * allocations from the last part of the time, most of which the program would still free.
   * @throws MemdriftError ERR_INVALID when `tailPercent` is not a whole number from 0 to 99.
   */
  leaks(options: Pick<ReportOptions, 'tailPercent'> = {}): Promise<CaptureReport> {
    return readCaptureReport(this.path, { ...options, moment: 'end' });
  }

  /**
   * All that was freed before its thread had made more than `threshold` other allocations, summed
   * by stack: allocations that a program could do without.
   * @throws MemdriftError ERR_INVALID for a threshold that is no whole number from 1.
   */
  temporary(threshold = 1): Promise<CaptureReport> {
    const options = { moment: 'temporary', temporaryThreshold: threshold } as const;
    return readCaptureReport(this.path, options);
  }

  /**
   * What stacks held over time: `moments` at `intervals` equal distances, at the marks and at the
   * peak, a thousand at most: where there are too many marks the last ones are left out. In
   * `changes` is what changed between each and the one before; `rows` are of the peak.
   * `reportAt(report, moment)` has the rows at one of them. The kinds file, shm, stack and jsheap
   * have no changes.
   * @throws MemdriftError ERR_INVALID for intervals that are no whole number from 1.
   */
  async timeline(intervals = 100): Promise<CaptureReport> {
    checkNumber('intervals', intervals, 1);
    return readCaptureReport(this.path, { intervals });
  }
}

/**
 * The capture at `path`; it is read when it is asked.
 * @throws MemdriftError ERR_INVALID for what is no path.
 */
export function openCapture(path: string): Capture {
  return new Capture(path);
}
