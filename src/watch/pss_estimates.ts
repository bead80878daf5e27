/**
 * PSS of each process of a group between two reads of smaps. What one process maps anew another of
 * the group may have mapped before, which only the group as a whole can tell.
 */
import type { Estimate } from './meters.ts';
import type { ProcessRow } from './watch_model.ts';

/** At the last pass all of its shared memory was its own: what comes to it is as well. */
const ownRatio = 0.95;

export class PssEstimates {
  /** Of those that smaps was never read for: how much of RssAnon they have from their parent. */
  readonly #inherited = new Map<string, number>();

  /** For each of `rows`, all of a sample; `segmentBytes`: what files of shared memory have. */
  of(rows: readonly ProcessRow[], segmentBytes: number): ReadonlyMap<number, Estimate> {
    const byPid = new Map(rows.map((row) => [row.pid, row]));
    const shmem = shmemOf(rows, segmentBytes);
    const estimates = new Map<number, Estimate>();
    for (const row of rows)
      estimates.set(
        row.pid,
        row.pssBytes === null ? this.#unread(row, byPid.get(row.parentPid)) : moved(row, shmem),
      );
    this.#forget(rows);
    addUnreadShmem(rows, estimates);
    return estimates;
  }

  /**
   * A fork shares what its parent has, which is counted there; what it maps of files and shared
   * memory others have too, most likely. What it takes itself it has since we know it.
   */
  #unread(row: ProcessRow, parent: ProcessRow | undefined): Estimate {
    const key = keyOf(row);
    const anon = row.rssAnonBytes ?? 0;
    const isFork = parent !== undefined && parent.name === row.name;
    const inherited =
      this.#inherited.get(key) ?? (isFork ? Math.min(anon, parent.rssAnonBytes ?? 0) : 0);
    this.#inherited.set(key, inherited);
    const value = Math.max(0, anon - inherited);
    const alone = parent === undefined ? (row.rssBytes ?? 0) - anon : (row.rssFileBytes ?? 0);
    // Each page that it has copied since the fork was a fault.
    const copied = Math.min(inherited, row.faultBytes ?? inherited);
    return { value, low: 0, high: value + copied + Math.max(0, alone) };
  }

  #forget(rows: readonly ProcessRow[]): void {
    if (this.#inherited.size === 0) return;
    const unread = new Set(rows.filter((row) => row.pssBytes === null).map(keyOf));
    for (const key of this.#inherited.keys()) if (!unread.has(key)) this.#inherited.delete(key);
  }
}

/** Whoever has the most of it: all of that is somewhere in the group, read or not. */
function addUnreadShmem(rows: readonly ProcessRow[], estimates: Map<number, Estimate>): void {
  let largest: ProcessRow | undefined;
  let known = 0;
  for (const row of rows) {
    known += row.pssShmemBytes ?? 0;
    if ((row.rssShmemBytes ?? 0) > (largest?.rssShmemBytes ?? 0)) largest = row;
  }
  if (largest === undefined || largest.pssBytes !== null) return;
  const { value, low, high } = estimates.get(largest.pid) as Estimate;
  const missing = Math.max(0, (largest.rssShmemBytes ?? 0) - known);
  estimates.set(largest.pid, { value: value + missing, low, high: high + missing });
}

function keyOf({ pid, startTimeTicks }: ProcessRow): string {
  return `${pid}:${startTimeTicks}`;
}

interface Shmem {
  /** What shares of shared memory are to be multiplied by, so that no page counts twice. */
  readonly factor: number;
  /** By which they can be too low: as much as is left below the most that there can be. */
  readonly roomFactor: number;
}

function shmemOf(rows: readonly ProcessRow[], segmentBytes: number): Shmem {
  let [sum, passed, largest, own, changed] = [0, 0, 0, 0, 0];
  for (const row of rows) {
    const { passedPssShmemBytes, passedRssShmemBytes, rssShmemBytes } = row;
    largest = Math.max(largest, rssShmemBytes ?? 0);
    sum += row.pssShmemBytes ?? 0;
    passed += passedPssShmemBytes ?? 0;
    const grown = (rssShmemBytes ?? 0) - (passedRssShmemBytes ?? 0);
    if (row.pssBytes !== null) changed += Math.abs(grown);
    const wasOwn = (passedPssShmemBytes ?? 0) > ownRatio * (passedRssShmemBytes ?? 0);
    if (wasOwn) own += Math.max(0, grown);
  }
  const most = Math.max(passed, segmentBytes, largest) + own;
  // Whoever maps a file twice has more of it than there is.
  const likely = segmentBytes > 0 ? Math.max(passed, segmentBytes) + own : most;
  const factor = sum > likely ? likely / sum : 1;
  const room = Math.min(Math.max(0, most - sum * factor), changed);
  return { factor, roomFactor: changed > 0 ? room / changed : 0 };
}

function moved(row: ProcessRow, { factor, roomFactor }: Shmem): Estimate {
  const { rssShmemBytes, passedRssShmemBytes } = row;
  const shmem = row.pssShmemBytes ?? 0;
  const shmemMoved = Math.abs((rssShmemBytes ?? 0) - (passedRssShmemBytes ?? rssShmemBytes ?? 0));
  const otherError = Math.max(0, (row.pssErrorBytes ?? 0) - shmemMoved);
  const value = (row.pssBytes ?? 0) - shmem * (1 - factor);
  return {
    value,
    low: Math.max(0, value - otherError - Math.min(shmem * factor, shmemMoved)),
    high: Math.min(
      row.rssBytes ?? value,
      value + otherError + shmemMoved * roomFactor + (row.copiedBytesMost ?? 0),
    ),
  };
}
