/** Explanations that no process was asked for. */
import { type Cause, causeNames } from '../../src/drift/causes.ts';
import type { ExplainedArena, Explanation } from '../../src/drift/explain_model.ts';

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
    beside: { anonHugePagesBytes: 0, anonHugePages: [], swapBytes: 0 },
    malloc: null,
    v8: null,
    deep: null,
    mappings: [],
    otherMappings: { count: 0, rssBytes: 0 },
    ...more,
  };
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
    ...more,
  };
}

export function mallocOf(arenas: readonly ExplainedArena[]): Explanation['malloc'] {
  return {
    allocator: 'glibc 2.36',
    arenas,
    mapped: { count: 2, residentBytes: 5e6 },
    trimBytes: arenas.reduce((sum, { trimBytes }) => sum + trimBytes, 0),
    exactness: 'exact',
    reason: null,
  };
}
