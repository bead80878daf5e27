import type { GroupSegment } from '../group/group_model.ts';

/**
 * What `memdrift top` shows and `memdrift top --once --json` prints. Sizes are bytes; null is not
 * known, never 0.
 */

export interface TopProcess {
  readonly pid: number;
  readonly parentPid: number;
  /** As the process set it; the kernel cuts it at 15 bytes. */
  readonly name: string;
  /** Its arguments, each apart by a space; null: it has none, or they are not shown to us. */
  readonly command: string | null;
  readonly rssBytes: number | null;
  readonly rssAnonBytes: number | null;
  readonly rssFileBytes: number | null;
  readonly rssShmemBytes: number | null;
  readonly swapBytes: number | null;
  /** Of the last look at its smaps, moved as its counters have moved; null: there was none yet. */
  readonly pssBytes: number | null;
  /** Of the last look at its smaps, which is `sharesAgeMs` ago. */
  readonly ussBytes: number | null;
  readonly sharesAgeMs: number | null;
  /** The kernel does not show its smaps to us, so that PSS and USS stay unknown. */
  readonly isDenied: boolean;
  /** It is the one that shows this. */
  readonly isSelf: boolean;
}

export interface TopTotals {
  readonly rssBytes: number;
  readonly rssAnonBytes: number;
  readonly rssFileBytes: number;
  readonly rssShmemBytes: number;
  readonly swapBytes: number;
  /** Null: not known of all. */
  readonly pssBytes: number | null;
  readonly ussBytes: number | null;
  /** Each page once: PSS, huge pages, unmapped pages of segments; null: unknown for some. */
  readonly footprintBytes: number | null;
  readonly footprintExactness: 'exact' | 'estimated';
  /** Bounds of PSS and footprint of all processes, read or not (docs/bounds.md). */
  readonly pssRangeBytes: readonly [low: number, high: number];
  readonly footprintRangeBytes: readonly [low: number, high: number];
  /** Start of the reads of smaps that the ranges are based on; null before the first. */
  readonly readAtMs: number | null;
  /** The same without those whose PSS is not known, and how many they are. */
  readonly knownPssBytes: number;
  readonly knownFootprintBytes: number;
  readonly unknownPss: number;
}

export interface TopMoment {
  readonly atMs: number;
  readonly rssBytes: number;
  readonly footprintBytes: number | null;
}

/** One look at a group. */
export interface TopModel {
  /** Whose trees it is; empty: it is all of a user's. */
  readonly pids: readonly number[];
  /** What the group is: `the tree of 4711`. */
  readonly group: string;
  /** Since it is looked at. */
  readonly atMs: number;
  /** Since 1970. */
  readonly timeMs: number;
  readonly processes: readonly TopProcess[];
  readonly totals: TopTotals;
  /** Files of shared memory that somebody of the group maps. */
  readonly segments: readonly GroupSegment[];
  /** Looks before this one, and this one, oldest first. */
  readonly history: readonly TopMoment[];
  /** Processes that were seen and have ended. */
  readonly ended: number;
  /** CPU time of our own process, all threads, since it began: percent of one core. */
  readonly ownCpuPercent: number;
}
