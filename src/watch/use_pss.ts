/** SLURM's sum with UsePss: the PSS of each process, or its RSS where that is less. */
import type { Sample } from '../proc/sampler.ts';
import type { TreeView } from './group_sums.ts';
import type { Estimate } from './meters.ts';
import { counterNoiseBytes } from './swings.ts';

interface Look {
  readonly atMs: number;
  readonly low: number;
  readonly high: number;
}

/** SLURM reads one process after another: each may be as it was within the last second. */
const windowMs = 1000;

export class UsePss {
  #looks: Look[] = [];

  /** `most`: the highest possible sum of RSS since the look before. */
  sum(sample: Sample, { group, seen }: TreeView, most: number): Estimate {
    const { pss } = sample.group;
    const noise = seen.length * counterNoiseBytes;
    const seenPids = new Set(seen.map(({ pid }) => pid));
    let [value, rssOfZero, hidden] = [0, 0, 0];
    for (const row of group) {
      const rss = row.statRssBytes ?? row.rssBytes ?? 0;
      if (!seenPids.has(row.pid)) {
        hidden += row.rssBytes ?? 0;
        continue;
      }
      // SLURM treats a PSS of 0 as unreadable.
      if (row.pssBytes === 0) rssOfZero += rss;
      value += row.pssBytes === 0 ? rss : Math.min(rss, row.pssBytes ?? middle(row.pssRangeBytes));
    }
    const [low, high] = pss.rangeBytes;
    const now = {
      atMs: sample.atMs,
      low: Math.max(0, low - hidden - noise) + rssOfZero,
      high: Math.min(most, Math.max(high, pss.mostBetweenBytes) + rssOfZero) + noise,
    };
    this.#looks = this.#looks.filter(({ atMs }) => atMs >= sample.atMs - windowMs);
    this.#looks.push(now);
    const least = Math.min(...this.#looks.map((look) => look.low));
    const highest = Math.max(...this.#looks.map((look) => look.high));
    return { value: Math.min(highest, Math.max(least, value)), low: least, high: highest };
  }
}

function middle([low, high]: readonly [number, number]): number {
  return (low + high) / 2;
}
