/** What SLURM does not see of a group: kept while it lives, told at the end. */
import type { TreeView } from './group_sums.ts';
import type { BlindSpot, ProcessRow, Proctrack, ViewName } from './watch_model.ts';

const slurmViews: readonly ViewName[] = ['slurmDefault', 'slurmNoShared', 'slurmUsePss'];

/** Less than this between two samples is what the kernel's counters are off by. */
const noticeableBytes = 1_000_000;

/** Of each kind so many are named, the largest. */
const mostOfAKind = 100;

interface Hidden {
  readonly pid: number;
  readonly name: string;
  readonly bytes: number;
}

export class BlindSpots {
  readonly #orphans = new Map<string, Hidden>();
  readonly #namedWithSpace = new Map<string, Hidden>();
  /** The highest RSS in a sample of those that live, and then of those that have ended. */
  readonly #highest = new Map<number, number>();

  add({ group, hiddenByName, orphans }: TreeView): void {
    for (const row of orphans) keep(this.#orphans, row);
    for (const row of hiddenByName) keep(this.#namedWithSpace, row);
    for (const { pid, rssBytes } of group) {
      const before = this.#highest.get(pid);
      if (rssBytes !== null && !(before !== undefined && before >= rssBytes))
        this.#highest.set(pid, rssBytes);
    }
  }

  /** `peaks`: the kernel's own high-water marks, by pid. */
  list(
    peaks: ReadonlyMap<number, { name: string; bytes: number }>,
    proctrack: Proctrack,
  ): BlindSpot[] {
    const between = new Map<string, Hidden>();
    for (const [pid, { name, bytes }] of peaks) {
      const missed = bytes - (this.#highest.get(pid) ?? bytes);
      if (missed > noticeableBytes) between.set(String(pid), { pid, name, bytes: missed });
    }
    const views = proctrack === 'cgroup' ? [] : slurmViews;
    return [
      ...spotsOf('name-with-space', this.#namedWithSpace, views),
      ...spotsOf('orphan', this.#orphans, slurmViews),
      ...spotsOf('between-samples', between, ['sumRss', ...slurmViews]),
    ];
  }
}

function keep(map: Map<string, Hidden>, { pid, startTimeTicks, name, rssBytes }: ProcessRow): void {
  const key = `${pid}:${startTimeTicks}`;
  const before = map.get(key);
  if (before && before.bytes >= (rssBytes ?? 0)) return;
  map.set(key, { pid, name, bytes: rssBytes ?? 0 });
}

function spotsOf(
  kind: BlindSpot['kind'],
  map: ReadonlyMap<string, Hidden>,
  views: readonly ViewName[],
): BlindSpot[] {
  const largest = [...map.values()].sort((a, b) => b.bytes - a.bytes).slice(0, mostOfAKind);
  return largest.map((one) => ({ kind, ...one, views }));
}
