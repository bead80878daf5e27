/** Divides the causes that isolates count among their threads. */
import type { CauseRow } from './causes.ts';
import type { ByThread, ExplainedThread, ThreadBytes } from './explain_model.ts';
import type { InsideFacts, WorkerCounts, WorkerFacts } from './facts.ts';
import { ownCounts } from './v8_causes.ts';

const ofExternal = ['array-buffers', 'external-strings', 'wasm-memory'] as const;
const none: ThreadBytes = { heapBytes: 0, freeBytes: 0, externalBytes: 0 };

type Counted = Pick<InsideFacts, 'threadId' | 'v8' | 'workers'>;

/** Returns the division of the totals in `causes`; null: Workers were not asked. */
export function byThreadOf(facts: Counted, causes: readonly CauseRow[]): ByThread | null {
  const { threadId = 0, v8, workers } = facts;
  if (workers === undefined) return null;
  const asked = { threadId, name: '', canAnswer: true, counts: ownCounts(v8), ageMs: 0 };
  const threads = [asked, ...workers].map(explainedThread);
  threads.sort((a, b) => sizeOf(b) - sizeOf(a) || a.threadId - b.threadId);
  const counted = threads.reduce((sum, { bytes }) => added(sum, bytes ?? none), none);
  return { threads, ...remainderOf(totalOf(causes, counted), counted) };
}

/** Returns the counts of all isolates; null when one did not answer in time. */
export function allCounts(facts: Counted, isolates: number): readonly WorkerCounts[] | null {
  const workers = (facts.workers ?? []).filter(({ ageMs }) => ageMs === 0);
  const counts = workers.flatMap((worker) => worker.counts ?? []);
  return counts.length === isolates - 1 ? [ownCounts(facts.v8), ...counts] : null;
}

function explainedThread({
  threadId,
  name,
  canAnswer,
  counts,
  ageMs,
}: WorkerFacts): ExplainedThread {
  const bytes = counts && {
    heapBytes: counts.usedBytes,
    freeBytes: Math.max(0, counts.physicalBytes - counts.usedBytes),
    externalBytes: counts.externalBytes,
  };
  return { threadId, name, isBusy: canAnswer && ageMs !== 0, ageMs, bytes };
}

/**
 * Returns the totals. Without a v8-free row, v8-heap includes free room: the threads' count of it
 * is taken out.
 */
function totalOf(causes: readonly CauseRow[], counted: ThreadBytes): ThreadBytes {
  const of = (name: CauseRow['cause']): number | null =>
    causes.find(({ cause }) => cause === name)?.bytes ?? null;
  const freeBytes = of('v8-free');
  const heapBytes = (of('v8-heap') ?? 0) - (freeBytes === null ? counted.freeBytes : 0);
  return {
    heapBytes,
    freeBytes: freeBytes ?? counted.freeBytes,
    // Buffers in memory of an allocator that is not walked have no row.
    externalBytes:
      of('array-buffers') === null
        ? counted.externalBytes
        : ofExternal.reduce((sum, name) => sum + (of(name) ?? 0), 0),
  };
}

/** Returns `rest` and `surplus`: the total is the counted sum plus the rest, less the surplus. */
function remainderOf(total: ThreadBytes, counted: ThreadBytes): Pick<ByThread, 'rest' | 'surplus'> {
  const map = (value: (name: keyof ThreadBytes) => number): ThreadBytes => ({
    heapBytes: value('heapBytes'),
    freeBytes: value('freeBytes'),
    externalBytes: value('externalBytes'),
  });
  return {
    rest: map((name) => Math.max(0, total[name] - counted[name])),
    surplus: map((name) => Math.max(0, counted[name] - total[name])),
  };
}

function added(a: ThreadBytes, b: ThreadBytes): ThreadBytes {
  return {
    heapBytes: a.heapBytes + b.heapBytes,
    freeBytes: a.freeBytes + b.freeBytes,
    externalBytes: a.externalBytes + b.externalBytes,
  };
}

function sizeOf({ bytes }: ExplainedThread): number {
  return bytes === null ? -1 : bytes.heapBytes + bytes.freeBytes + bytes.externalBytes;
}
