/** Splits the resident bytes that are malloc's by what its walk has found. */
import type { ExplainedArena, ExplainedMalloc } from './explain_model.ts';
import type { MallocFacts } from './facts.ts';

type ArenaFacts = MallocFacts['arenas'][number];

/** Disjoint; they add up to what is malloc's in the mappings. */
export interface MallocParts {
  readonly inUseBytes: number;
  readonly arrayBufferBytes: number;
  /** Contents of strings outside V8's heap. */
  readonly stringBytes: number;
  readonly freedBytes: number;
  readonly topBytes: number;
}

/**
 * The walk was a moment before the mappings were read: what came or went between is in use, or was
 * free.
 */
export function partsOfMalloc(malloc: MallocFacts, residentBytes: number): MallocParts {
  let left = residentBytes;
  const take = (bytes: number): number => {
    const taken = Math.min(bytes, left);
    left -= taken;
    return taken;
  };
  const { arenas, buffers } = malloc;
  const inArenas = sumOf(arenas, (arena) => arena.buffers.residentBytes);
  const arrayBufferBytes = take(inArenas + buffers.inBlocks.residentBytes);
  const held = sumOf(arenas, heldOf) + (malloc.mapped?.residentBytes ?? 0);
  const stringBytes = take(malloc.strings.blocks.residentBytes);
  const inUseBytes = take(Math.max(0, held - arrayBufferBytes - stringBytes));
  const freedBytes = take(sumOf(arenas, freedOf));
  const topBytes = take(sumOf(arenas, (arena) => arena.top.residentBytes));
  return { inUseBytes: inUseBytes + left, arrayBufferBytes, stringBytes, freedBytes, topBytes };
}

/** The same of an allocator that counts itself; what is left is of others. */
export function partsByStatistics(
  { own }: MallocFacts,
  sums: { readonly residentBytes: number; readonly arrayBuffersBytes: number },
): (MallocParts & { readonly otherBytes: number }) | null {
  if (own === null) return null;
  const resident = Math.min(own.residentBytes, sums.residentBytes);
  const allocated = Math.min(own.allocatedBytes, resident);
  const arrayBufferBytes = Math.min(sums.arrayBuffersBytes, allocated);
  return {
    inUseBytes: allocated - arrayBufferBytes,
    arrayBufferBytes,
    stringBytes: 0,
    freedBytes: resident - allocated,
    topBytes: 0,
    otherBytes: sums.residentBytes - resident,
  };
}

/** What is said of malloc beside the causes. */
export function explainedMalloc(malloc: MallocFacts): ExplainedMalloc {
  const { allocator, whyNot, whyEstimated, mapped } = malloc;
  if (whyNot !== null) {
    const unknown = { arenas: null, mapped: null, trimBytes: null, exactness: null };
    return { allocator, ...unknown, own: malloc.own, reason: whyNot };
  }
  return {
    allocator,
    own: null,
    arenas: malloc.arenas.map(explainedArena),
    mapped: mapped && { count: mapped.count, residentBytes: mapped.residentBytes },
    trimBytes: malloc.trimBytes,
    exactness: whyEstimated === null ? 'exact' : 'estimated',
    reason: whyEstimated,
  };
}

function explainedArena(arena: ArenaFacts): ExplainedArena {
  return {
    isMain: arena.isMain,
    residentBytes: arena.all.residentBytes,
    inUseBytes: heldOf(arena),
    arrayBufferBytes: arena.buffers.residentBytes,
    freedBytes: freedOf(arena),
    topBytes: arena.top.residentBytes,
    trimBytes: arena.trimBytes + arena.trimTopBytes,
    trimTopBytes: arena.trimTopBytes,
    fixedThresholds: fixedThresholds(arena),
  };
}

/** The initial value of M_TRIM_THRESHOLD and M_MMAP_THRESHOLD. */
const firstThresholdBytes = 128 << 10;

/**
 * Bounds the bytes that fixed thresholds give back. Large blocks would be mappings, so malloc would
 * trim free memory behind the last small block down to the threshold. A large free chunk before
 * that block may have held large blocks, which would be unmapped, or small ones, which would
 * remain.
 */
function fixedThresholds(arena: ArenaFacts): ExplainedArena['fixedThresholds'] {
  if (!arena.isWhole) return null;
  const leastBytes = Math.max(0, arena.looseEndBytes - firstThresholdBytes);
  return { leastBytes, mostBytes: leastBytes + arena.largeHoleBytes };
}

/** With malloc's own state, and memory of others between. */
function heldOf({ inUse, other }: ArenaFacts): number {
  return inUse.residentBytes + other.residentBytes;
}

function freedOf({ free, fastBins, threadCache }: ArenaFacts): number {
  return free.residentBytes + fastBins.residentBytes + threadCache.residentBytes;
}

function sumOf<Row>(rows: readonly Row[], value: (row: Row) => number): number {
  return rows.reduce((sum, row) => sum + value(row), 0);
}
