/** Explanations that no process was asked for. */
import { type Cause, causeNames } from '../../src/drift/causes.ts';
import type {
  ExplainedArena,
  ExplainedThread,
  Explanation,
  ThreadBytes,
} from '../../src/drift/explain_model.ts';
import type { DeepFacts } from '../../src/drift/retention_model.ts';

export type MadeBytes = Partial<Record<Cause, number | null>>;

/** Of given causes, which add up with `unexplained`. */
export function explanationOf(bytes: MadeBytes, more: Partial<Explanation> = {}): Explanation {
  const causes = causeNames
    .map((cause) => {
      const value = cause in bytes ? (bytes[cause] as number | null) : 0;
      return { cause, bytes: value, exactness: 'exact', detail: `detail of ${cause}` } as const;
    })
    .sort((a, b) => (b.bytes ?? -1) - (a.bytes ?? -1));
  const unexplainedBytes = more.unexplainedBytes ?? 0;
  const rssBytes = causes.reduce((sum, row) => sum + (row.bytes ?? 0), unexplainedBytes);
  return {
    schemaVersion: 1,
    options: { outside: false },
    pid: 4711,
    name: 'node',
    startTimeTicks: 99,
    takenAtMs: 1_700_000_000_000,
    nodeVersion: 'v22.0.0',
    source: 'inspector',
    sourceReason: null,
    rssBytes,
    vmRssBytes: rssBytes,
    causes,
    unexplainedBytes,
    beside: {
      anonHugePagesBytes: 0,
      anonHugePages: [],
      swapBytes: 0,
      hugetlbBytes: 0,
      forkShared: { rssBytes: 0, pssBytes: 0 },
    },
    isNode: true,
    tracking: { attach: true, run: true },
    pauseMs: 12,
    malloc: null,
    v8: null,
    deep: null,
    byThread: null,
    mappings: [],
    otherMappings: { count: 0, rssBytes: 0 },
    ...more,
  };
}

export interface MadeDeep {
  readonly arrayBufferBytes?: number;
  readonly heapBytes?: number;
  readonly heldBytes?: number;
  readonly mallocBytes?: number;
  readonly referencedBytes?: number;
  readonly unreferencedBytes?: number;
}

export function deepOf(made: MadeDeep): DeepFacts {
  const { arrayBufferBytes = 0, heapBytes = 0, mallocBytes = 0, unreferencedBytes = 0 } = made;
  const { heldBytes = 0, referencedBytes = heldBytes } = made;
  const none = { count: 0, heldBytes: 0, referencedBytes: 0, viewCount: 0, unviewedCount: 0 };
  const own = { ...none, count: 1, heldBytes, referencedBytes };
  return {
    retained: {
      kinds: { own, shared: none, mapped: none },
      sizes: [],
      otherSizes: { count: 0, heldBytes: 0 },
      strayViewCount: 0,
      ms: 1,
    },
    released: { arrayBufferBytes, heapBytes, mallocBytes, arrayBufferCount: 0 },
    unreferencedBytes,
  };
}

export const noBytes: ThreadBytes = { heapBytes: 0, freeBytes: 0, externalBytes: 0 };

/** One that has answered just now. */
export function threadOf(threadId: number, bytes: Partial<ThreadBytes>): ExplainedThread {
  const counted = { ...noBytes, ...bytes };
  return { threadId, name: '', isBusy: false, ageMs: 0, bytes: counted };
}

export function arenaOf(more: Partial<ExplainedArena> = {}): ExplainedArena {
  return {
    isMain: false,
    residentBytes: 0,
    inUseBytes: 0,
    arrayBufferBytes: 0,
    freedBytes: 0,
    topBytes: 0,
    trimBytes: 0,
    trimTopBytes: 0,
    fixedThresholds: null,
    ...more,
  };
}

export function mallocOf(arenas: readonly ExplainedArena[]): Explanation['malloc'] {
  return {
    allocator: 'glibc 2.36',
    arenas,
    own: null,
    mapped: { count: 2, residentBytes: 5e6 },
    trimBytes: arenas.reduce((sum, { trimBytes }) => sum + trimBytes, 0),
    exactness: 'exact',
    reason: null,
  };
}
