/** What captures say, as types. Sizes in bytes, times in ms since the capture began. */
import type { NativeCaptureStats, NativeChild } from '../door_tracker.ts';

/** What `memdrift stats --json` prints. */
export interface CaptureStats
  extends Omit<NativeCaptureStats, 'info' | 'sizeClasses' | 'ending' | 'children'> {
  readonly ending: CaptureEnding;
  /**
   * Descendants of this process, the largest peak first. Those that run Node usually have their own
   * captures.
   */
  readonly children: readonly ChildProcessPeak[];
  /** Blocks by their size; counts add up to `allocations`. Empty: there was none. */
  readonly sizes: readonly SizeBin[];
  /** What the process was in its program; null: the capture does not say. */
  readonly role: string | null;
  /** The run of `memdrift run` that made it; null: none, or not in the capture. */
  readonly run: string | null;
  readonly nodeVersion: string | null;
  /** When the capture began, since 1970; null: the capture does not say. */
  readonly startedAtMs: number | null;
  /** The command line, with `***` for what looks like a secret; null: not in the capture. */
  readonly argv: readonly string[] | null;
}

/**
 * How a capture ended: closed, at `maxBytes`, or because a write failed. The process of one that
 * has not ended was killed or still runs; all but the last 100 ms of it can be read.
 */
export type CaptureEnding =
  | 'closed'
  | 'max-bytes'
  | 'write-failed'
  | 'calls-forbidden'
  | 'killed'
  | 'running';

/** A process and a lower bound of its peak RSS, which was read a few times a second. */
export type ChildProcessPeak = Readonly<Omit<NativeChild, 'argv'>> & {
  /** The arguments, with `***` for probable secrets; empty: not recorded. */
  readonly argv: readonly string[];
};

/** Of a histogram: blocks of sizes from `fromBytes` on, below `belowBytes`. */
export interface SizeBin {
  readonly fromBytes: number;
  readonly belowBytes: number;
  readonly count: number;
  readonly bytes: number;
}

/** One function of a stack. */
export interface Frame {
  readonly function: string;
  /** Of JavaScript the script, as V8 names it; of native code the object, or the source. */
  readonly file: string;
  /** Where the function's definition begins; null: not known. */
  readonly functionLine: number | null;
  /** The line that was executing; null: not known, or the capture was made without `lines`. */
  readonly line: number | null;
  /** Of the function's definition; null: not known. */
  readonly column: number | null;
  readonly native: boolean;
  /** Of native code the file that it was loaded from; null: JavaScript, or not known. */
  readonly object: string | null;
  /** Compiled into the function that called it. */
  readonly inlined: boolean;
}

export const allocationKinds = [
  'malloc',
  'buffer',
  'mmap',
  'file',
  'shm',
  'stack',
  'jsheap',
] as const;
export type AllocationKind = (typeof allocationKinds)[number];

/** The kinds that are of the process alone: their rows add up to a table's total. */
export const heapKinds: readonly AllocationKind[] = ['malloc', 'buffer', 'mmap', 'jsheap'];

/** Those of them that a timeline follows. */
export const timelineKinds: readonly AllocationKind[] = heapKinds.filter((one) => one !== 'jsheap');

/** What one stack of one thread held. */
export interface TableRow {
  readonly bytes: number;
  /** Of allocations; null: V8 does not tell how many objects it has (kind jsheap). */
  readonly count: number | null;
  readonly kind: AllocationKind;
  /** Its id and name. */
  readonly thread: string;
  /** Innermost first. */
  readonly stack: readonly Frame[];
}

export interface CaptureTable {
  /** Of malloc, buffer, mmap and jsheap: their rows add up to it. */
  readonly totalBytes: number;
  /** Largest first. */
  readonly rows: readonly TableRow[];
  readonly stats: CaptureStats;
}

/** Stacks with common callers once: 0 is the empty stack, and a node's caller is before it. */
export interface StackTree {
  readonly parent: Uint32Array;
  /** Of the report's frames; of node 0 nothing. */
  readonly frame: Uint32Array;
}

/** Columns of equal length, the largest row first: a capture can have a million of them. */
export interface RowColumns {
  readonly bytes: Float64Array;
  /** Of allocations; NaN: not known. */
  readonly count: Float64Array;
  /** Allocated at any time, freed or not; of jsheap 0: V8 does not tell. */
  readonly everBytes: Float64Array;
  readonly everCount: Float64Array;
  /** The stack. */
  readonly node: Uint32Array;
  /** Of the report's threads. */
  readonly thread: Uint32Array;
  /** Of the report's kinds. */
  readonly kind: Uint32Array;
}

/** A moment of a timeline: at equal distances, at a mark, or the peak. */
export interface Moment {
  readonly timeMs: number;
  readonly label: string | null;
  readonly isPeak: boolean;
}

/** Columns of equal length, a row per look at the process; NaN: not known. */
export interface MemorySeries {
  readonly timeMs: Float64Array;
  readonly rssAnon: Float64Array;
  readonly rssFile: Float64Array;
  readonly rssShmem: Float64Array;
  readonly heapTotal: Float64Array;
  readonly heapUsed: Float64Array;
  readonly external: Float64Array;
  /** Of private mappings that were made while tracked, what is resident. */
  readonly mappedResident: Float64Array;
  /** Live, of what is tracked; of mappings what was made usable. */
  readonly tracked: Float64Array;
}

/** Numbers of a change in `CaptureReport.changes`: moment, row, bytes, count. */
export const numbersPerChange = 4;

export interface CaptureReport {
  /** Of the heap's kinds: their rows add up to it. */
  readonly totalBytes: number;
  /** Live bytes of the heap's kinds that `tailPercent` left out of rows and total. */
  readonly leftOutBytes: number;
  readonly frames: readonly Frame[];
  readonly stacks: StackTree;
  /** Id and name of each. */
  readonly threads: readonly string[];
  readonly kinds: readonly AllocationKind[];
  readonly rows: RowColumns;
  readonly stats: CaptureStats;
  readonly series: MemorySeries;
  /** Empty where no intervals were asked for. */
  readonly moments: readonly Moment[];
  /** By how much which row changed since the moment before: four numbers per change. */
  readonly changes: Float64Array;
}

export interface ReportOptions {
  /** The peak, the end, or all that was freed soon; default peak. */
  readonly moment?: 'peak' | 'end' | 'temporary';
  /** Temporary is what is freed before its thread has made more than so many others; default 1. */
  readonly temporaryThreshold?: number;
  /** Rows of what is not held at that moment as well, with 0 bytes; default false. */
  readonly all?: boolean;
  /** Moments of the timeline beside marks and the peak, which costs a second pass; default 0. */
  readonly intervals?: number;
  /**
   * Leaves out allocations from the last part of the time, in percent from 0 to 99, default 0: the
   * program would still free most of them. The boundary is exact to 0.1 s. For the end only; costs
   * a second pass.
   */
  readonly tailPercent?: number;
  /**
   * Makes one row of a stack and kind for all threads, whose thread is empty; default false.
   * Reading then takes memory independent of the number of threads. Not for `temporary`.
   */
  readonly joinThreads?: boolean;
  /**
   * Counts mappings by usable bytes, touched or not. Default false: by resident bytes, which the
   * tracker reads a few times a second.
   */
  readonly committed?: boolean;
}
