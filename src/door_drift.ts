/** The part of the boundary that says where memory is, by cause; the rest is in door.ts. */

export interface NativeMallocPart {
  readonly bytes: number;
  readonly residentBytes: number;
}

/** Parts `inUse` to `other` are disjoint; with them `all` adds up. */
export interface NativeMallocArena {
  readonly isMain: boolean;
  readonly isWhole: boolean;
  readonly systemBytes: number;
  readonly chunks: number;
  readonly all: NativeMallocPart;
  readonly inUse: NativeMallocPart;
  /** A part of `inUse`: contents of ArrayBuffers. */
  readonly buffers: NativeMallocPart;
  readonly threadCache: NativeMallocPart;
  readonly fastBins: NativeMallocPart;
  readonly free: NativeMallocPart;
  readonly top: NativeMallocPart;
  readonly other: NativeMallocPart;
  readonly trimBytes: number;
  readonly trimTopBytes: number;
  readonly looseEndBytes: number;
  readonly largeHoleBytes: number;
  /** Starts and ends, in turns. */
  readonly ranges: Float64Array;
}

export interface NativeMallocReport {
  readonly allocator: string;
  /** Not null: there are no figures. */
  readonly whyNot: string | null;
  /** Null: figures are exact. */
  readonly whyEstimated: string | null;
  readonly arenas: readonly NativeMallocArena[];
  readonly mapped: {
    readonly count: number;
    readonly bytes: number;
    /** Null where others were found than malloc counts; `ranges` are then those that fit. */
    readonly residentBytes: number | null;
    readonly ranges: Float64Array;
  } | null;
  readonly buffers: NativeBuffers;
  /** Contents of strings outside of V8's heap, of the isolate that asks. */
  readonly strings: {
    readonly isWhole: boolean;
    readonly count: number;
    readonly lengthBytes: number;
    readonly blocks: NativeMallocPart;
  };
  /** Statistics of an allocator that is not walked; null when it has none. */
  readonly own: {
    readonly allocatedBytes: number;
    readonly activeBytes: number;
    readonly residentBytes: number;
    readonly retainedBytes: number;
  } | null;
  /** 0: what is in them is not known. */
  readonly threadCaches: number;
  readonly trimBytes: number;
  readonly forkMs: number;
  readonly walkMs: number;
}

/** Contents of ArrayBuffers, of all isolates; those in arenas are with the arenas. */
export interface NativeBuffers {
  readonly isWhole: boolean;
  /** Of those that malloc has. */
  readonly count: number;
  readonly lengthBytes: number;
  readonly inBlocks: NativeMallocPart;
  /** Starts and ends, in turns, of those that are in no memory of malloc's. */
  readonly elsewhere: Float64Array;
}

/** native/door/drift_door.cc, buffer_ranges_door.cc */
export interface DriftBinding {
  /**
   * Where the contents of ArrayBuffers, typed arrays and DataViews are: starts and ends in turns,
   * by address, without those that are empty or detached. A small typed array, which has its
   * content on V8's heap, is given memory of its own.
   */
  bufferRanges(objects: readonly object[]): Float64Array;
  /** Waits for a child that looks at this process's heap: 0.2 s per GB, or more. */
  mallocReport(): NativeMallocReport;
  /** An address in the stack of each thread but the first; `pid` -1 is this process. */
  threadBlocks(pid: number): Float64Array;
  /** Resident anonymous bytes of ranges of whole pages; null: the kernel does not say. */
  residentIn(pid: number, ranges: Float64Array): Float64Array | null;
  /** Starts and ends, in turns, of what memdrift has mapped for itself in this process. */
  ownRanges(): Float64Array;
}
