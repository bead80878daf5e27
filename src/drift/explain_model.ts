/** What explain() answers, and `memdrift explain --json` prints. */
import type { CauseRow } from './causes.ts';
import type { V8Facts } from './facts.ts';
import type { Holder } from './holders.ts';
import type { DeepFacts } from './retention_model.ts';

/** One of malloc's arenas: resident bytes. */
export interface ExplainedArena {
  readonly isMain: boolean;
  readonly residentBytes: number;
  readonly inUseBytes: number;
  /** Of `inUseBytes`: contents of ArrayBuffers. */
  readonly arrayBufferBytes: number;
  readonly freedBytes: number;
  readonly topBytes: number;
  /** The part that malloc_trim(0) would give back. */
  readonly trimBytes: number;
  /** The part of `trimBytes` at the end of the main arena, which M_TRIM_THRESHOLD keeps. */
  readonly trimTopBytes: number;
  /**
   * Bounds of the bytes that malloc would have given back itself with thresholds fixed at their
   * initial 128 KiB. Null: unknown.
   */
  readonly fixedThresholds: { readonly leastBytes: number; readonly mostBytes: number } | null;
}

/** jemalloc's statistics: `allocatedBytes` is within `activeBytes`, that within `residentBytes`. */
export interface OwnMallocFigures {
  readonly allocatedBytes: number;
  /** In pages that have at least one block in use. */
  readonly activeBytes: number;
  readonly residentBytes: number;
  /** Addresses that are kept without memory. */
  readonly retainedBytes: number;
}

export interface ExplainedMalloc {
  /** `glibc 2.36`, `jemalloc`, the name of a library. */
  readonly allocator: string;
  /** Null where its memory is not walked; `reason` says why. */
  readonly arenas: readonly ExplainedArena[] | null;
  /** Blocks that are mappings of their own; resident bytes. */
  readonly mapped: { readonly count: number; readonly residentBytes: number | null } | null;
  /** Statistics of an allocator that is not walked; null when it has none. */
  readonly own: OwnMallocFigures | null;
  /** Resident bytes that malloc_trim(0) would give back now. */
  readonly trimBytes: number | null;
  readonly exactness: 'exact' | 'estimated' | null;
  readonly reason: string | null;
}

/** What V8 says of itself; not resident bytes, and not to be added to them. */
export interface ExplainedV8 extends V8Facts {
  readonly isolates: number;
  /** Of the room in its heap without an object: in semi-spaces. */
  readonly youngFreeBytes: number;
}

/** A mapping, or a part of one, with what is resident of it and whose it is. */
export interface ExplainedMapping {
  readonly startAddress: number;
  readonly endAddress: number;
  /** '' for anonymous memory. */
  readonly name: string;
  readonly holder: Holder;
  readonly rssBytes: number;
}

/** Beside the causes: attributes of the same pages, or memory that is not resident. */
export interface Beside {
  readonly anonHugePagesBytes: number;
  /** Whose they are: with the one who has most of each mapping. */
  readonly anonHugePages: readonly { readonly holder: Holder; readonly bytes: number }[];
  readonly swapBytes: number;
  /** Pages of hugetlbfs, which the kernel counts in no Rss. */
  readonly hugetlbBytes: number;
  /**
   * Anonymous mappings of which other processes have pages too, as after fork(): their Rss, and
   * this process's proportional share of it.
   */
  readonly forkShared: { readonly rssBytes: number; readonly pssBytes: number };
}

/** How the process can be tracked, as far as it is known. */
export interface TrackingWays {
  /** By `memdrift attach`, now. */
  readonly attach: boolean;
  /** By `memdrift run`, if it is started again. */
  readonly run: boolean;
}

/** As an isolate counts them, without machine code. */
export interface ThreadBytes {
  /** Objects, garbage among them. */
  readonly heapBytes: number;
  readonly freeBytes: number;
  /** Buffers, memories of WebAssembly and strings outside the heap. */
  readonly externalBytes: number;
}

/** The asked thread or one of its Workers. */
export interface ExplainedThread {
  /** 0: the main thread. */
  readonly threadId: number;
  /** The Worker's name; empty: the program gave none, or Node (before 22.20) does not report it. */
  readonly name: string;
  /** True when it did not answer in time: `bytes` are its last answer. */
  readonly isBusy: boolean;
  /** The age of `bytes`; null: they are unknown. */
  readonly ageMs: number | null;
  readonly bytes: ThreadBytes | null;
}

/**
 * Causes by thread: `v8-heap`, `v8-free`, and in one column `array-buffers`, `external-strings` and
 * `wasm-memory`. All threads and `rest`, less `surplus`, add up to them. Where `v8-free` has no
 * bytes of its own, `v8-heap` includes it here too.
 */
export interface ByThread {
  /** Largest first. */
  readonly threads: readonly ExplainedThread[];
  /** Resident bytes that no answering thread counted. */
  readonly rest: ThreadBytes;
  /**
   * Bytes that threads counted and that are not resident or in other causes, such as Node's
   * sources.
   */
  readonly surplus: ThreadBytes;
}

export interface Explanation {
  readonly schemaVersion: 1;
  readonly options: { readonly outside: boolean };
  readonly pid: number;
  /** As the process set it. */
  readonly name: string;
  /** With the pid it names a process for good. */
  readonly startTimeTicks: number | null;
  readonly takenAtMs: number;
  /** Null: not asked from within. */
  readonly nodeVersion: string | null;
  /** self, socket and inspector are from within the process. */
  readonly source: 'self' | 'socket' | 'inspector' | 'outside';
  /** Why it was from outside; null otherwise. */
  readonly sourceReason: string | null;
  /** By its executable; null: that could not be read. */
  readonly isNode: boolean | null;
  readonly tracking: TrackingWays;
  /** How long the main thread was kept from its work; null: not asked from within. */
  readonly pauseMs: number | null;
  /** The sum of Rss of the one read of smaps that all is explained by. */
  readonly rssBytes: number;
  /** The kernel's own count, by counters; null: it does not say. */
  readonly vmRssBytes: number | null;
  /** Disjoint; with `unexplainedBytes` they add up to `rssBytes`. */
  readonly causes: readonly CauseRow[];
  readonly unexplainedBytes: number;
  readonly beside: Beside;
  readonly malloc: ExplainedMalloc | null;
  readonly v8: ExplainedV8 | null;
  /** Null: not requested, or not asked from within. */
  readonly deep: DeepFacts | null;
  /** Null: not requested, or not asked from within. */
  readonly byThread: ByThread | null;
  /** The largest, largest first; `otherMappings` are the rest of them. */
  readonly mappings: readonly ExplainedMapping[];
  readonly otherMappings: { readonly count: number; readonly rssBytes: number };
}
