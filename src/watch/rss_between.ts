/** Bounds the sum of RSS at a look, and between the look before and this one. */
import type { Sample } from '../proc/sampler.ts';
import type { Estimate } from './meters.ts';
import type { ProcessRow } from './watch_model.ts';

interface Look {
  readonly rssBytes: number;
  readonly peakRssBytes: number;
  readonly faultBytes: number | null;
}

/** The parts of a sample that concern the whole system. */
type SystemFacts = Pick<Sample, 'hugeBytes' | 'pagesPerFault'>;

export class RssBetween {
  #before: ReadonlyMap<string, Look> | null = null;
  #hugeBytesBefore: number | null = null;

  /**
   * `value` and `low` are what the sum has reached for certain: now, or when a process raised its
   * own high-water mark. `high`: each process as large as its faults and its mark allow.
   */
  sum(group: readonly ProcessRow[], { hugeBytes, pagesPerFault }: SystemFacts): Estimate {
    const looks = new Map<string, Look>();
    let [sum, high, mostHigh, reached] = [0, 0, 0, 0];
    for (const row of group) {
      const key = `${row.pid}:${row.startTimeTicks}`;
      const before = this.#before?.get(key);
      const look = lookOf(row);
      looks.set(key, look);
      sum += look.rssBytes;
      if (this.#before === null) continue;
      // A mark at the first look may be older than the watch.
      const isNew = before === undefined || look.peakRssBytes > before.peakRssBytes;
      if (isNew) reached = Math.max(reached, look.peakRssBytes);
      high += isNew ? look.peakRssBytes : mostOf(look, before, pagesPerFault);
      mostHigh += look.peakRssBytes;
    }
    high += this.#hugeSince(hugeBytes);
    this.#before = looks;
    const least = Math.max(sum, reached);
    return { value: least, low: least, high: Math.max(least, Math.min(high, mostHigh)) };
  }

  #hugeSince(hugeBytes: number | null): number {
    const before = this.#hugeBytesBefore;
    this.#hugeBytesBefore = hugeBytes;
    return hugeBytes === null || before === null ? Number.POSITIVE_INFINITY : hugeBytes - before;
  }
}

function lookOf({ rssBytes, peakRssBytes, faultBytes }: ProcessRow): Look {
  const rss = rssBytes ?? 0;
  return { rssBytes: rss, peakRssBytes: Math.max(rss, peakRssBytes ?? 0), faultBytes };
}

/** Returns the most that a process can have had since the look before without a new mark. */
function mostOf(now: Look, before: Look, pagesPerFault: number | null): number {
  if (now.faultBytes === null || before.faultBytes === null || pagesPerFault === null)
    return now.peakRssBytes;
  const grown = pagesPerFault * (now.faultBytes - before.faultBytes);
  return Math.max(now.rssBytes, Math.min(now.peakRssBytes, before.rssBytes + grown));
}
