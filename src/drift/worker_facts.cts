/**
 * Asks each Worker of this thread for its own counts, which V8 reads on the Worker's thread alone:
 * by `worker.getHeapStatistics()`, which Node 22.16 and later have. Node interrupts JavaScript and
 * Atomics.wait() for it, for less than 1 ms, and locks against the Worker's end.
 *
 * The inspector's NodeWorker domain would count Buffers and spaces too, and reach Workers of
 * Workers. It is not used: Node 20 and 22 crash in it when a Worker ends meanwhile.
 */
import type { WorkerCounts, WorkerFacts } from './facts.ts' with { 'resolution-mode': 'import' };

const workerThreads = require('node:worker_threads') as typeof import('node:worker_threads');
const { instancesOf } =
  require('./retained_buffers.cjs') as import('./retained_buffers.cts').RetainedBuffersModule;

/** A Worker in native code answers only after it returns, which may never happen. */
const answerMs = 500;

type HeapStatistics = ReturnType<typeof import('node:v8').getHeapStatistics>;

/** A Worker with the methods of newer versions of Node. */
type Worker = import('node:worker_threads').Worker & {
  getHeapStatistics?: () => Promise<HeapStatistics & { external_memory: number }>;
  threadName?: string | null;
};

/** Node's own method, which a subclass may override. */
const { getHeapStatistics } = workerThreads.Worker.prototype as Partial<Worker>;

/** The last answer of each Worker. A late answer serves the next explanation. */
const lastAnswers = new WeakMap<Worker, { readonly counts: WorkerCounts; readonly atMs: number }>();

/**
 * Asks all running Workers that this thread started, ordered by thread id. Collects garbage to find
 * them, and takes turns of the event loop, for at most half a second.
 */
async function askWorkers(): Promise<WorkerFacts[]> {
  const running = (instancesOf(workerThreads.Worker.prototype) as Worker[]).filter(isRunning);
  if (running.length === 0) return [];
  const startMs = Date.now();
  await within(answerMs, running.map(ask));
  return running
    .filter(isRunning)
    .map((worker) => factsOf(worker, startMs))
    .sort((a, b) => a.threadId - b.threadId);
}

/** The id is -1 once a Worker has ended, and the prototype of a subclass has none. */
function isRunning(worker: Worker): boolean {
  try {
    return worker.threadId > 0;
  } catch {
    return false;
  }
}

async function ask(worker: Worker): Promise<void> {
  try {
    const heap = await getHeapStatistics?.call(worker);
    if (heap !== undefined) lastAnswers.set(worker, { counts: countsOf(heap), atMs: Date.now() });
  } catch {
    // It has not begun, or has ended.
  }
}

function within(ms: number, asked: readonly Promise<void>[]): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const isOver = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return Promise.race([Promise.all(asked), isOver]).finally(() => clearTimeout(timer));
}

function countsOf(heap: HeapStatistics & { external_memory: number }): WorkerCounts {
  // Machine code has mappings of its own. Its spaces are not counted apart.
  const codeBytes = heap.total_heap_size_executable;
  return {
    usedBytes: Math.max(0, heap.used_heap_size - codeBytes),
    physicalBytes: Math.max(0, heap.total_physical_size - codeBytes),
    externalBytes: heap.external_memory,
  };
}

function factsOf(worker: Worker, startMs: number): WorkerFacts {
  const last = lastAnswers.get(worker);
  return {
    threadId: worker.threadId,
    name: worker.threadName ?? '',
    canAnswer: getHeapStatistics !== undefined,
    counts: last?.counts ?? null,
    ageMs: last === undefined ? null : Math.max(0, startMs - last.atMs),
  };
}

module.exports = { askWorkers };

/** The module's exports. */
export interface WorkerFactsModule {
  readonly askWorkers: typeof askWorkers;
}
