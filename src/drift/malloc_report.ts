/** Where malloc's memory of this process is, and what a trim would give back. */
import { binding } from '../binding.ts';
import type { NativeMallocArena, NativeMallocPart, NativeMallocReport } from '../door_drift.ts';

/**
 * Bytes of a kind, and how many of them are in resident pages. A page that several kinds share
 * counts for each with the bytes that it has there, so that kinds add up to what is resident.
 */
export type MallocPart = Readonly<NativeMallocPart>;

export interface AddressRange {
  readonly startAddress: number;
  readonly endAddress: number;
}

/** `inUse` to `other` are disjoint, and `all` is their sum; of `ranges`, every byte is in one. */
export interface MallocArena {
  /** The one that grows by brk(); others are of threads, and grow by mappings. */
  readonly isMain: boolean;
  /** False: some of its memory could not be walked, and is in `other`. */
  readonly isWhole: boolean;
  /** What the arena itself counts that it has from the kernel. */
  readonly systemBytes: number;
  readonly chunks: number;
  readonly ranges: readonly AddressRange[];
  readonly all: MallocPart;
  /** Held by the program, as far as malloc knows, with malloc's headers. */
  readonly inUse: MallocPart;
  /** Of `inUse`: contents of ArrayBuffers. */
  readonly buffers: MallocPart;
  /** Freed, kept by a thread for itself; null: not known, and in `inUse`. */
  readonly threadCache: MallocPart | null;
  /** Freed, small, not merged with neighbours before a trim. */
  readonly fastBins: MallocPart;
  readonly free: MallocPart;
  /** Free behind the last block. */
  readonly top: MallocPart;
  /** malloc's own state, memory of others between, what was not walked. */
  readonly other: MallocPart;
  /**
   * Resident whole pages of `free` and `fastBins` that malloc_trim(0) returns. The rest that is
   * free and resident shares pages with what is in use.
   */
  readonly trimBytes: number;
  /** The same of `top`; malloc_trim cuts off the main arena's only. */
  readonly trimTopBytes: number;
  /**
   * Resident whole pages that are free behind the last block in use of less than 384 KiB. Where
   * malloc's thresholds stay at their first values (128 KiB), it cuts them off itself.
   */
  readonly looseEndBytes: number;
  /** The same for free chunks of 128 KiB and more before it. */
  readonly largeHoleBytes: number;
}

/** Blocks that are mappings of their own: large ones, Buffers among them. */
export interface MappedBlocks {
  readonly count: number;
  readonly bytes: number;
  /** Null where malloc counts others than were found. */
  readonly residentBytes: number | null;
  /** As far as they were found; empty where there are more than malloc counts. */
  readonly ranges: readonly AddressRange[];
}

export interface MallocFigures {
  readonly arenas: readonly MallocArena[];
  /** Null: not known (more than 4 GB with glibc before 2.33). */
  readonly mapped: MappedBlocks | null;
  /** Resident bytes that malloc_trim(0) returns, of all arenas. */
  readonly trimBytes: number;
}

export interface MallocReport {
  /** As found: `glibc 2.36`, `jemalloc`, the name of a library. */
  readonly allocator: string;
  /** Null: this allocator is not walked, or it failed; see `reason`. */
  readonly figures: MallocFigures | null;
  /**
   * exact: malloc's own counts of the same moment are the same, and threads' caches are known.
   * estimated: `reason` says what is not. Null without figures.
   */
  readonly exactness: 'exact' | 'estimated' | null;
  readonly reason: string | null;
  /** How long this thread made the child that looks, and then waited for it. */
  readonly cost: { readonly forkMs: number; readonly walkMs: number };
}

/**
 * Looks at the heap of this process, at one instant, in a child that fork() makes: all threads go
 * on, but cannot allocate during the fork (about 40 ms per resident GB); this one waits until the
 * child is done (0.2 s per GB, more with many small blocks), and the event loop with it.
 */
export function readOwnMalloc(): MallocReport {
  const native = binding().mallocReport();
  const { allocator, whyNot, whyEstimated, forkMs, walkMs } = native;
  const cost = { forkMs, walkMs };
  if (whyNot !== null) {
    return { allocator, figures: null, exactness: null, reason: whyNot, cost };
  }
  const exactness = whyEstimated === null ? 'exact' : 'estimated';
  return { allocator, figures: figuresOf(native), exactness, reason: whyEstimated, cost };
}

function figuresOf({ arenas, mapped, threadCaches, trimBytes }: NativeMallocReport): MallocFigures {
  return {
    arenas: arenas.map((arena) => arenaOf(arena, threadCaches > 0)),
    mapped: mapped && { ...mapped, ranges: rangesOf(mapped.ranges) },
    trimBytes,
  };
}

function arenaOf(arena: NativeMallocArena, knowsCaches: boolean): MallocArena {
  const { threadCache, ranges, ...rest } = arena;
  return { ...rest, threadCache: knowsCaches ? threadCache : null, ranges: rangesOf(ranges) };
}

function rangesOf(numbers: Float64Array): readonly AddressRange[] {
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({
    startAddress: numbers[2 * i] as number,
    endAddress: numbers[2 * i + 1] as number,
  }));
}
