/** What is gathered about a process before its pages are put under causes; all of it is JSON. */
import type { NativeMallocArena, NativeMallocReport } from '../door_drift.ts';
import type { DeepFacts } from './retention_model.ts';

/** Typed arrays where they were made, plain ones where they came as JSON. */
export type Numbers = ArrayLike<number>;

/** One smaps read, as columns. The last four are places in `strings`, or 0 and 1. */
export interface MappingFacts {
  readonly length: number;
  readonly startAddress: Numbers;
  readonly endAddress: Numbers;
  readonly rssBytes: Numbers;
  readonly swapBytes: Numbers;
  readonly anonHugePagesBytes: Numbers;
  readonly pssBytes: Numbers;
  readonly anonymousBytes: Numbers;
  readonly sharedHugetlbBytes: Numbers;
  readonly privateHugetlbBytes: Numbers;
  readonly inode: Numbers;
  readonly permissions: Numbers;
  readonly name: Numbers;
  readonly vmFlags: Numbers;
  readonly deleted: Numbers;
  readonly strings: readonly string[];
}

/** NativeMallocReport after it was JSON. */
export type MallocFacts = Omit<NativeMallocReport, 'arenas' | 'mapped' | 'buffers'> & {
  readonly arenas: readonly (Omit<NativeMallocArena, 'ranges'> & { readonly ranges: Numbers })[];
  readonly mapped:
    | (Omit<NonNullable<NativeMallocReport['mapped']>, 'ranges'> & { readonly ranges: Numbers })
    | null;
  readonly buffers: Omit<NativeMallocReport['buffers'], 'elsewhere'> & {
    readonly elsewhere: Numbers;
  };
};

export interface V8Space {
  readonly name: string;
  readonly committedBytes: number;
  readonly usedBytes: number;
  readonly physicalBytes: number;
}

/** V8's own totals, of the isolate that was asked. They are not resident bytes. */
export interface V8Facts {
  readonly heapTotalBytes: number;
  readonly heapUsedBytes: number;
  readonly physicalBytes: number;
  readonly externalBytes: number;
  readonly arrayBuffersBytes: number;
  readonly mallocedBytes: number;
  readonly codeBytes: number;
  readonly heapSizeLimitBytes: number;
  /** What the cgroup allows, as Node sees it; null: no limit, or not known. */
  readonly constrainedBytes: number | null;
  readonly spaces: readonly V8Space[];
}

/** Counts of a Worker's isolate, without machine code. */
export interface WorkerCounts {
  /** In objects, garbage among them. */
  readonly usedBytes: number;
  /** In the pages of the heap. */
  readonly physicalBytes: number;
  /** Buffers, memories of WebAssembly and strings outside the heap. */
  readonly externalBytes: number;
}

/** A Worker, asked on its own thread. */
export interface WorkerFacts {
  readonly threadId: number;
  /** '' where the program gave none, or Node (before 22.20) does not report it. */
  readonly name: string;
  /** False when this version of Node cannot ask it. */
  readonly canAnswer: boolean;
  /** Its counts, or the last ones of a busy Worker; null: it has never answered. */
  readonly counts: WorkerCounts | null;
  /** The age of `counts`; 0: it has just answered. */
  readonly ageMs: number | null;
}

/** From within a process: taken one after the other, with no turn of the event loop between. */
export interface InsideFacts {
  readonly nodeVersion: string;
  readonly v8: V8Facts;
  readonly malloc: MallocFacts;
  readonly mappings: MappingFacts;
  /** VmRSS, right before the mappings; null: the kernel does not say. */
  readonly vmRssBytes: number | null;
  readonly threadBlocks: Numbers;
  readonly ownRanges: Numbers;
  /** How long the main thread gathered all this; absent: an older memdrift was asked. */
  readonly pauseMs?: number;
  /** Where it was asked for. */
  readonly deep?: DeepFacts;
  /** The asked thread's id; absent: an older memdrift answered. */
  readonly threadId?: number;
  /** With `deep`: every running Worker that this thread started. */
  readonly workers?: readonly WorkerFacts[];
}
