/**
 * What processes may have had together although no sample saw it. A scheduler reads at moments of
 * its own: where processes take and give back within a second, one of them may have been high when
 * the others were, and what VmHWM tells of between two samples counts as well.
 */
import type { Estimate } from './meters.ts';
import type { ProcessRow } from './watch_model.ts';

/** What an accountant counts for one process of a sample. */
export interface Part {
  readonly row: ProcessRow;
  readonly estimate: Estimate;
}

interface Look {
  readonly atMs: number;
  readonly low: number;
  readonly high: number;
}

interface Recent {
  /** Of the window, oldest first; changed in place, since this runs at every look. */
  readonly looks: Look[];
  rssBytes: number;
  peakRssBytes: number;
}

/** No longer than the shortest period that SLURM can sample with. */
const windowMs = 1000;

/**
 * By how much a read of a counter may be off for a process at rest: each processor keeps up to 32
 * pages of it to itself, of either sign. One's share is taken, since those of many cancel out.
 */
export const counterNoiseBytes = 32 * 4096;

export class Swings {
  #recent: ReadonlyMap<string, Recent> = new Map();

  /** The sum of `parts`, between what each of them was at the least and at the most of late. */
  sum(atMs: number, parts: readonly Part[]): Estimate {
    const recent = new Map<string, Recent>();
    let [value, low, high] = [0, 0, 0];
    for (const part of parts) {
      const key = `${part.row.pid}:${part.row.startTimeTicks}`;
      const now = withLook(atMs, part, this.#recent.get(key));
      recent.set(key, now);
      value += part.estimate.value;
      let [least, most] = [part.estimate.low, part.estimate.high];
      for (const look of now.looks) {
        least = Math.min(least, look.low);
        most = Math.max(most, look.high);
      }
      low += Math.max(0, least - counterNoiseBytes);
      high += most + counterNoiseBytes;
    }
    this.#recent = recent;
    return { value, low, high };
  }
}

function withLook(atMs: number, { row, estimate }: Part, before: Recent | undefined): Recent {
  const rssBytes = row.rssBytes ?? 0;
  const peakRssBytes = row.peakRssBytes ?? rssBytes;
  const isNewPeak = before !== undefined && peakRssBytes > before.peakRssBytes;
  const unseen = isNewPeak ? Math.max(0, peakRssBytes - Math.max(rssBytes, before.rssBytes)) : 0;
  const recent = before ?? { looks: [], rssBytes, peakRssBytes };
  recent.rssBytes = rssBytes;
  recent.peakRssBytes = peakRssBytes;
  recent.looks.push({ atMs, low: estimate.low, high: estimate.high + unseen });
  while ((recent.looks[0]?.atMs ?? atMs) < atMs - windowMs) recent.looks.shift();
  return recent;
}
