/** Splits the resident bytes of V8's own mappings by what it counts itself. */
import type { V8Facts } from './facts.ts';

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
  if (isolates > 1) return { heapBytes: residentBytes, pooledBytes: null };
  const counted = v8.spaces
    .filter(({ name }) => !/code/.test(name))
    .reduce((sum, space) => sum + space.physicalBytes, readOnlyBytes);
  const heapBytes = Math.min(residentBytes, counted);
  return { heapBytes, pooledBytes: residentBytes - heapBytes };
}
