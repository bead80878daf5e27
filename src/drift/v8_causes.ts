/** Splits the resident bytes of V8's own mappings by what it counts itself. */
import type { V8Facts, V8Space, WorkerCounts } from './facts.ts';

export interface V8Resident {
  /** Of mappings that are not code. */
  readonly residentBytes: number;
  /** Of that: what cannot be written, objects that all programs have. */
  readonly readOnlyBytes: number;
  readonly isolates: number;
  /** Values of each isolate; null: some are unknown. */
  readonly counts: readonly WorkerCounts[] | null;
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
export function partsOfV8({ counts, residentBytes, readOnlyBytes }: V8Resident): V8Parts {
  if (counts === null) return { heapBytes: residentBytes, freeBytes: null, pooledBytes: null };
  const sum = (name: keyof WorkerCounts): number =>
    counts.reduce((total, one) => total + one[name], 0);
  const ofHeap = Math.min(residentBytes, sum('physicalBytes') + readOnlyBytes);
  const heapBytes = Math.min(ofHeap, sum('usedBytes') + readOnlyBytes);
  return { heapBytes, freeBytes: ofHeap - heapBytes, pooledBytes: residentBytes - ofHeap };
}

/** Returns the counts of the asked isolate, by its spaces. */
export function ownCounts({ externalBytes, spaces }: V8Facts): WorkerCounts {
  const ofObjects = spaces.filter(isOfObjects);
  return {
    usedBytes: ofObjects.reduce((sum, space) => sum + space.usedBytes, 0),
    physicalBytes: ofObjects.reduce((sum, space) => sum + space.physicalBytes, 0),
    externalBytes,
  };
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
