/**
 * V8's sampling heap profiler, merged into a capture: which functions' objects live, about once a
 * second and at the end. A module of its own kind, so that a preload and an attached program can
 * have it without waiting.
 */
import type { TrackerBinding, TrackerHandle } from '../door_tracker.ts' with {
  'resolution-mode': 'import',
};

const { Session } = require('node:inspector') as typeof import('node:inspector');
const { getHeapStatistics } = require('node:v8') as typeof import('node:v8');
const { fileURLToPath } = require('node:url') as typeof import('node:url');

type Sampled = import('node:inspector').HeapProfiler.SamplingHeapProfileNode;
/** As V8 documents it; the types of Node lack its number. */
type Node = Omit<Sampled, 'children'> & { readonly id: number; readonly children: Node[] };

/** By the number of V8's node: a script that was collected has lost its name since. */
type Named = Map<number, Node['callFrame']>;

/** Stands for the path of a script that V8 collected before a look could ask for its name. */
const collectedScript = '(collected script)';
/** The script of V8's built-in code. */
const noScript = '0';

/** Of V8's samples; at this distance they cost little. */
const sampleBytes = 64 << 10;
const periodMs = 1000;
/** Asking V8 may take this part of the time: one in so many. */
const costFactor = 100;

export interface JsHeapSampling {
  /** A last look, and V8 samples no more. Before the tracker's own end. */
  stop(): void;
}

/** Begins to sample this thread's heap for `tracker`. @throws where Node has no inspector. */
function sampleJsHeap(
  native: Pick<TrackerBinding, 'trackerEnded' | 'trackerJsHeap'>,
  tracker: TrackerHandle,
): JsHeapSampling {
  const session = new Session();
  session.connect();
  session.post('HeapProfiler.startSampling', { samplingInterval: sampleBytes });
  const named: Named = new Map();
  const look = (): void => {
    // A look collects garbage, by system calls that the program may have forbidden since.
    if (native.trackerEnded(tracker) !== null) return;
    session.post('HeapProfiler.getSamplingProfile', (error, answer) => {
      if (error !== null) return;
      // Read at once: garbage was just collected, and flattening makes more.
      const { total_heap_size: totalBytes, used_heap_size: usedBytes } = getHeapStatistics();
      const sampled = flattened(answer.profile.head as Sampled & Node, named);
      native.trackerJsHeap(tracker, { ...sampled, totalBytes, usedBytes });
    });
  };
  let timer: NodeJS.Timeout;
  const lookLater = (delayMs: number): void => {
    timer = setTimeout(() => {
      const start = performance.now();
      look();
      lookLater(Math.max(periodMs, (performance.now() - start) * costFactor));
    }, delayMs);
    timer.unref();
  };
  lookLater(periodMs);
  return {
    stop() {
      clearTimeout(timer);
      look();
      // V8 samples no more then either; HeapProfiler.stopSampling would collect garbage again.
      session.disconnect();
    },
  };
}

/** The tree below `head`, which itself is no function, as the binding takes it. */
function flattened(head: Node, named: Named): { texts: string[]; numbers: Float64Array } {
  const places = new Map<string, number>();
  const place = (text: string): number => {
    const known = places.get(text);
    if (known !== undefined) return known;
    places.set(text, places.size);
    return places.size - 1;
  };
  const rows: number[] = [];
  let count = 0;
  const add = (node: Node, parent: number): void => {
    if (node.callFrame.url !== '') named.set(node.id, node.callFrame);
    const callFrame = named.get(node.id) ?? node.callFrame;
    rows.push(parent, place(callFrame.functionName), place(fileOf(callFrame)));
    rows.push(callFrame.lineNumber + 1, callFrame.columnNumber + 1, node.selfSize);
    const own = ++count;
    for (const child of node.children) add(child, own);
  };
  for (const child of head.children) add(child, 0);
  return { texts: [...places.keys()], numbers: Float64Array.from(rows) };
}

/** As stacks name a script: by its path. */
function fileOf({ scriptId, url }: Node['callFrame']): string {
  if (url === '') return scriptId === noScript ? '' : collectedScript;
  if (!url.startsWith('file://')) return url;
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}

module.exports = { sampleJsHeap };

/** What this module is to who loads it. */
export interface JsHeapModule {
  readonly sampleJsHeap: typeof sampleJsHeap;
}
