/** The part of the boundary that makes captures and reads them; the rest is in door.ts. */

declare const trackerBrand: unique symbol;
export interface TrackerHandle {
  readonly [trackerBrand]: never;
}

export interface NativeTrackerOptions {
  readonly path: string;
  readonly nativeStacks: boolean;
  /** True when command lines of children are recorded. */
  readonly commandLines: boolean;
  /** Exact lines, and functions that were compiled into others. */
  readonly lines: boolean;
  readonly intervalMs: number;
  /** 0: no limit. */
  readonly maxBytes: number;
  /** On average between two samples; 0: every allocation is recorded. */
  readonly sampleBytes: number;
  /** Of how many known stacks one is compared with V8's own answer; 0: none. */
  readonly checkEvery: number;
  /** JSON that the capture begins with: role, argv, versions. */
  readonly info: string;
}

/** How the tracker's own work went so far. */
export interface NativeTrackerReport {
  patchedSlots: number;
  isolates: number;
  /** Stacks whose lines V8 could not be asked for, or did not tell. */
  lines_missed: number;
  stacks_new: number;
  stacks_broken: number;
  stacks_deep: number;
  stacks_checked: number;
  stacks_wrong: number;
}

/** By what RSS had grown since the start at the look at which it was highest. */
export interface NativeGrowth {
  atMs: number;
  fromBytes: number;
  toBytes: number;
  /** With `restBytes` they add up to the growth. What shrank is negative. */
  parts: { cause: string; bytes: number; exactness: 'exact' | 'estimated' }[];
  restBytes: number;
}

/** `mapping`: of pages as they are made usable, counted each time; else of blocks. */
export interface NativeAllocator {
  name: string;
  mapping: boolean;
  count: number;
  bytes: number;
}

/** What one pass over a capture's records says; sizes in bytes. */
export interface NativeCaptureStats {
  events: number;
  allocations: number;
  frees: number;
  totalBytes: number;
  peakBytes: number;
  /** Bounds of the peak: mappings count by resident bytes, which are read a few times a second. */
  peakRangeBytes: [number, number];
  /** Of the last time that was told before it: at most 50 ms early. */
  peakAtMs: number;
  leakedBytes: number;
  droppedRecords: number;
  /** Threads that never left a record. */
  lostThreads: number;
  unknownFrees: number;
  durationMs: number;
  fileBytes: number;
  pid: number;
  /** Children in the order in which they were seen. */
  children: NativeChild[];
  /** Number of children beyond the listed first 10,000. */
  childrenLeftOut: number;
  /** The kernel's highest peak of ended children; null: none ended. */
  endedChildPeakRssBytes: number | null;
  sampleBytes: number;
  /** Of each function that allocated. Bytes add up to `totalBytes`. */
  allocators: NativeAllocator[];
  /**
   * Count and bytes of the blocks of each size: class 0 is of size 0, class n of sizes from
   * 2^(n-1) on, below 2^n. Counts add up to `allocations`.
   */
  sizeClasses: Float64Array;
  /** Null: what is resident was never looked up after the start. */
  rssGrowth: NativeGrowth | null;
  info: string;
  /** Null: it has no end. */
  ending: 'closed' | 'max-bytes' | 'write-failed' | 'calls-forbidden' | null;
  /** Why the rest cannot be read; null: it is complete. */
  damage: string | null;
}

/** A descendant of the tracked process. */
export interface NativeChild {
  pid: number;
  parentPid: number;
  /** The kernel's name of the process: at most 15 characters. */
  name: string;
  /** The arguments; empty: not recorded. */
  argv: string[];
  /** True when it runs Node: usually it has its own capture. */
  isNode: boolean;
  /** Lower bound of the peak, read a few times a second. */
  peakRssBytes: number;
}

export interface NativeFrame {
  function: string;
  file: string;
  functionLine: number | null;
  column: number | null;
  line: number | null;
  inlined: boolean;
  native: boolean;
  object: string | null;
}

export interface NativeTable {
  totalBytes: number;
  leftOutBytes: number;
  frames: NativeFrame[];
  /** Callers before callees; 0 is the empty stack. */
  stacks: { parent: Uint32Array; frame: Uint32Array };
  threads: string[];
  kinds: string[];
  /** Columns of equal length, the largest first. `count` is NaN where it is not known. */
  rows: NativeRows;
  stats: NativeCaptureStats;
  /** Columns by name, of equal length: `timeMs`, `tracked_bytes` and the fields of format.h. */
  series: Record<string, Float64Array>;
  /** Null without intervals. Four numbers per change: moment, row, bytes, count. */
  timeline: { moments: NativeMoment[]; changes: Float64Array } | null;
}

export interface NativeRows {
  bytes: Float64Array;
  count: Float64Array;
  everBytes: Float64Array;
  everCount: Float64Array;
  node: Uint32Array;
  /** Of `threads`. */
  thread: Uint32Array;
  /** Of `kinds`. */
  kind: Uint32Array;
}

export interface NativeMoment {
  timeMs: number;
  /** Of a mark; else empty. */
  label: string;
  isPeak: boolean;
}

export interface NativeTableOptions {
  moment: 'peak' | 'end' | 'temporary';
  /** For `temporary`; 0: nothing is. */
  temporaryThreshold: number;
  /** Also rows of what is not held at that moment. */
  all: boolean;
  /** Of the timeline; 0: there is none. */
  intervals: number;
  /** True when mappings count by usable bytes, not by resident ones. */
  committed: boolean;
  /** Allocations in this last part of the time are left out; below 100. */
  tailPercent: number;
  /** True for one row for all threads, whose thread is empty. */
  joinThreads: boolean;
}

declare const captureTextBrand: unique symbol;
export interface CaptureTextHandle {
  readonly [captureTextBrand]: never;
}

/** Objects of the calling thread's isolate, by the functions that made them. */
export interface NativeJsHeap {
  texts: readonly string[];
  /**
   * Six numbers per function, callers before callees: the caller's number from 1 or 0, the places
   * of its name and its file in `texts`, line and column of its definition, bytes of the objects
   * that it made itself.
   */
  numbers: Float64Array;
  /** V8's own counts at the same moment: of the heap, and of the objects in it. */
  totalBytes: number;
  usedBytes: number;
}

/** native/door/tracker_door.cc. One tracker per process. */
export interface TrackerBinding {
  trackerStart(options: NativeTrackerOptions): TrackerHandle;
  /** Records what V8's sampling heap profiler reports now. */
  trackerJsHeap(tracker: TrackerHandle, heap: NativeJsHeap): void;
  trackerMark(tracker: TrackerHandle, label: string): void;
  /** Why the capture ended before stop, or null: full disk, the limit of its size. */
  trackerEnded(tracker: TrackerHandle): string | null;
  /** Every slot as it was, the file whole, no thread left; then again nothing. */
  trackerStop(tracker: TrackerHandle): Pick<NativeChild, 'pid' | 'name' | 'peakRssBytes'>[];
  /**
   * Writes a line to the standard error that the program had when the tracker started; false: it is
   * another file by now, the write would wait, or a filter of system calls has come.
   */
  trackerSay(tracker: TrackerHandle, line: string): boolean;
  trackerReport(tracker: TrackerHandle): NativeTrackerReport;
  /** Listens at this path, for this user alone; returns the descriptor. */
  trackerListen(path: string): number;
  /** Removes the file of `trackerListen`, unless a filter of system calls has come since. */
  trackerEndControl(): void;
  /** The number of filters of system calls (seccomp) of this thread. */
  trackerFilters(): number;
}

/** native/door/capture_door.cc. Works on files, on the pool. */
export interface CaptureBinding {
  captureStats(path: string, committed: boolean): Promise<NativeCaptureStats>;
  captureTable(path: string, options: NativeTableOptions): Promise<NativeTable>;
  captureTextOpen(path: string): CaptureTextHandle;
  /** The next records as lines of text, about 64 KiB; null at the end. */
  captureTextNext(text: CaptureTextHandle): Promise<string | null>;
}
