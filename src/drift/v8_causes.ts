/** Splits the resident bytes of V8's own mappings by what it counts itself. */
import type { V8Facts, V8Space } from './facts.ts';

export interface V8Resident {
  /** Of mappings that are not code. */
  readonly residentBytes: number;
  /** Of that: what cannot be written, objects that all programs have. */
  readonly readOnlyBytes: number;
  readonly isolates: number;
}

/** Disjoint; they add up to what is resident. */
export interface V8Parts {
  readonly heapBytes: number;
  /** Within the pages of the heap, between objects and behind them; null: in `heapBytes`. */
  readonly freeBytes: number | null;
  /** Null: other isolates have heaps that this one does not count. */
  readonly pooledBytes: number | null;
}

/**
 * V8 says of each space how much of its pages was ever used: what is resident beyond it is in
 * pages that are free, and that V8 keeps for a while. What other isolates count is known only to
 * their own threads.
 */
export function partsOfV8(v8: V8Facts, resident: V8Resident): V8Parts {
  const { residentBytes, readOnlyBytes, isolates } = resident;
  if (isolates > 1) return { heapBytes: residentBytes, freeBytes: null, pooledBytes: null };
  const spaces = v8.spaces.filter(isOfObjects);
  const physical = spaces.reduce((sum, space) => sum + space.physicalBytes, readOnlyBytes);
  const used = spaces.reduce((sum, space) => sum + space.usedBytes, readOnlyBytes);
  const ofHeap = Math.min(residentBytes, physical);
  const heapBytes = Math.min(ofHeap, used);
  return { heapBytes, freeBytes: ofHeap - heapBytes, pooledBytes: residentBytes - ofHeap };
}

/** Code has mappings of its own. */
function isOfObjects({ name }: V8Space): boolean {
  return !/code/.test(name);
}

/** Semi-spaces keep the room of the largest burst of young objects for a while. */
export function youngFreeBytes(spaces: readonly V8Space[]): number {
  const young = spaces.filter(({ name }) => name === 'new_space');
  return young.reduce((sum, { physicalBytes, usedBytes }) => {
    return sum + Math.max(0, physicalBytes - usedBytes);
  }, 0);
}
