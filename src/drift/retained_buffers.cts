/**
 * What Buffers hold against what slices of them are referenced. Everything that is reachable is
 * asked for with the inspector's `Runtime.queryObjects`, within the process and without a port.
 * Like all that may run in a program that is entered, a module of its own kind.
 */
import type { DriftBinding } from '../door_drift.ts' with { 'resolution-mode': 'import' };
import type {
  RetainedBuffers,
  RetainedKind,
  RetainedSize,
  RetainedSum,
} from './retention_model.ts' with { 'resolution-mode': 'import' };

const { Session } = require('node:inspector') as typeof import('node:inspector');

const shownSizes = 10;

/** Loads what the first use of a session loads. */
function prepareInspector(): void {
  const session = new Session();
  session.connect();
  session.post('Runtime.getHeapUsage');
  session.disconnect();
}

/**
 * Collects all garbage, and returns the time that this took. V8 does it in a task of the event
 * loop, and drops the task when the session disconnects before.
 */
async function collectGarbage(): Promise<number> {
  const start = process.hrtime.bigint();
  const session = new Session();
  session.connect();
  try {
    await new Promise<void>((resolve) => {
      session.post('HeapProfiler.collectGarbage', () => resolve());
    });
    return msSince(start);
  } finally {
    session.disconnect();
  }
}

/** Whether a file or shared memory is mapped at an address. */
type IsMapped = (address: number) => boolean;

/**
 * Collects garbage, once for each kind of object that it asks for, so that only what is referenced
 * is left; the event loop waits. Nothing that it finds is kept. Objects of other contexts
 * (`node:vm`) and of workers are not found. V8 moves the content of typed arrays of up to 64 bytes
 * from its heap to malloc's for the answer, and leaves it there.
 * 1 million Buffers take 2.5 s, and RSS is 140 MB more right after.
 */
function findRetained(native: Pick<DriftBinding, 'bufferRanges'>, isMapped: IsMapped) {
  const start = process.hrtime.bigint();
  const found = ask(native);
  const { slabs, strayViewCount } = slabsOf(found, isMapped);
  const summed = sumUp(slabs);
  return { ...summed, strayViewCount, ms: msSince(start) } satisfies RetainedBuffers;
}

const msSince = (start: bigint): number => Number(process.hrtime.bigint() - start) / 1e6;

interface Found {
  /** Starts and ends in turns, by address. */
  readonly buffers: Float64Array;
  readonly shared: Float64Array;
  readonly views: Float64Array;
}

function ask(native: Pick<DriftBinding, 'bufferRanges'>): Found {
  const session = new Session();
  session.connect();
  try {
    const buffers = native.bufferRanges(objectsOf(session, 'ArrayBuffer.prototype'));
    // Of one that is shared only a view can be asked.
    const shared = objectsOf(session, 'SharedArrayBuffer.prototype')
      .filter((one) => one instanceof SharedArrayBuffer)
      .map((one) => new Uint8Array(one as SharedArrayBuffer));
    const sharedRanges = native.bufferRanges(shared);
    shared.length = 0;
    const views = objectsOf(session, 'Object.getPrototypeOf(Uint8Array.prototype)').concat(
      objectsOf(session, 'DataView.prototype'),
    );
    return { buffers, shared: sharedRanges, views: native.bufferRanges(views) };
  } finally {
    session.disconnect();
  }
}

const objectGroup = 'memdrift';
/** Passes prototypes to the inspector and objects back, since its answers are ids of objects. */
const receiver = Symbol.for('memdrift.retained');

/**
 * Returns every reachable object of this isolate with `prototype` in its chain. Collects garbage.
 */
function instancesOf(prototype: object): readonly object[] {
  const session = new Session();
  session.connect();
  const holder = globalThis as Record<symbol, unknown>;
  const place = Symbol.for('memdrift.prototype');
  holder[place] = prototype;
  try {
    return objectsOf(session, "globalThis[Symbol.for('memdrift.prototype')]");
  } finally {
    delete holder[place];
    session.disconnect();
  }
}

function objectsOf(session: InstanceType<typeof Session>, prototype: string): readonly object[] {
  const post = (method: string, parameters: object): { objectId?: string } => {
    let answer: object = {};
    // Within one thread the answer is there before post() returns.
    session.post(method, parameters, (error: Error | null, result?: object) => {
      if (error) throw Object.assign(new Error(`${method}: ${error.message}`), { cause: error });
      answer = result ?? {};
    });
    return (Object.values(answer)[0] as { objectId?: string } | undefined) ?? {};
  };
  let received: readonly object[] = [];
  const holder = globalThis as Record<symbol, unknown>;
  holder[receiver] = (objects: readonly object[]) => {
    received = objects;
  };
  try {
    const { objectId: prototypeObjectId } = post('Runtime.evaluate', {
      expression: prototype,
      objectGroup,
    });
    const { objectId } = post('Runtime.queryObjects', { prototypeObjectId, objectGroup });
    const functionDeclaration = `function () {
      globalThis[Symbol.for('memdrift.retained')](this);
    }`;
    post('Runtime.callFunctionOn', { objectId, functionDeclaration });
    return received;
  } finally {
    delete holder[receiver];
    post('Runtime.releaseObjectGroup', { objectGroup });
  }
}

interface Slab {
  readonly kind: RetainedKind;
  readonly bytes: number;
  readonly referencedBytes: number;
  readonly viewCount: number;
}

/** Of three lists that are ordered by address, each read once. */
function slabsOf(found: Found, isMapped: IsMapped): { slabs: Slab[]; strayViewCount: number } {
  const { views } = found;
  const slabs: Slab[] = [];
  let next = 0;
  let strayViewCount = 0;
  for (const { start, end, isShared } of memoryOf(found)) {
    for (; next < views.length && (views[next] as number) < start; next += 2) strayViewCount++;
    let covered = start;
    let referencedBytes = 0;
    let viewCount = 0;
    for (; next < views.length && (views[next] as number) < end; next += 2) {
      const from = Math.max(views[next] as number, covered);
      const to = Math.min(views[next + 1] as number, end);
      if (to > from) {
        referencedBytes += to - from;
        covered = to;
      }
      viewCount++;
    }
    const kind = isMapped(start) ? 'mapped' : isShared ? 'shared' : 'own';
    const bytes = end - start;
    slabs.push({ kind, bytes, viewCount, referencedBytes: viewCount ? referencedBytes : bytes });
  }
  return { slabs, strayViewCount: strayViewCount + (views.length - next) / 2 };
}

interface Memory {
  readonly start: number;
  readonly end: number;
  readonly isShared: boolean;
}

/** ArrayBuffers over the same memory, or over parts of it, are one. */
function memoryOf({ buffers, shared }: Found): Memory[] {
  const all: Memory[] = [];
  for (let i = 0; i < buffers.length; i += 2) all.push(memoryAt(buffers, i, false));
  for (let i = 0; i < shared.length; i += 2) all.push(memoryAt(shared, i, true));
  if (shared.length > 0) all.sort((a, b) => a.start - b.start);
  const merged: Memory[] = [];
  for (const one of all) {
    const last = merged.at(-1);
    if (!last || one.start >= last.end) merged.push(one);
    else if (one.end > last.end) merged[merged.length - 1] = { ...last, end: one.end };
  }
  return merged;
}

function memoryAt(ranges: Float64Array, i: number, isShared: boolean): Memory {
  return { start: ranges[i] as number, end: ranges[i + 1] as number, isShared };
}

type Sum = { -readonly [Name in keyof RetainedSum]: number };

function sumUp(slabs: readonly Slab[]): Pick<RetainedBuffers, 'kinds' | 'otherSizes' | 'sizes'> {
  const kinds = { own: emptySum(), shared: emptySum(), mapped: emptySum() };
  const bySize = new Map<string, { kind: RetainedKind; lengthBytes: number } & Sum>();
  for (const slab of slabs) {
    add(kinds[slab.kind], slab);
    const key = `${slab.kind} ${slab.bytes}`;
    let size = bySize.get(key);
    if (!size) {
      size = { kind: slab.kind, lengthBytes: slab.bytes, ...emptySum() };
      bySize.set(key, size);
    }
    add(size, slab);
  }
  const sorted = [...bySize.values()].sort(
    (a, b) => uncovered(b) - uncovered(a) || b.heldBytes - a.heldBytes,
  );
  const others = sorted.slice(shownSizes);
  return {
    kinds,
    sizes: sorted.slice(0, shownSizes),
    otherSizes: {
      count: others.reduce((sum, size) => sum + size.count, 0),
      heldBytes: others.reduce((sum, size) => sum + size.heldBytes, 0),
    },
  };
}

function emptySum(): Sum {
  return { count: 0, heldBytes: 0, referencedBytes: 0, viewCount: 0, unviewedCount: 0 };
}

function add(sum: Sum, { bytes, referencedBytes, viewCount }: Slab): void {
  sum.count++;
  sum.heldBytes += bytes;
  sum.referencedBytes += referencedBytes;
  sum.viewCount += viewCount;
  if (viewCount === 0) sum.unviewedCount++;
}

function uncovered({ heldBytes, referencedBytes }: RetainedSize | Sum): number {
  return heldBytes - referencedBytes;
}

module.exports = { collectGarbage, findRetained, instancesOf, prepareInspector };

/** What this module is to who loads it. */
export interface RetainedBuffersModule {
  readonly collectGarbage: typeof collectGarbage;
  readonly findRetained: typeof findRetained;
  readonly instancesOf: typeof instancesOf;
  readonly prepareInspector: typeof prepareInspector;
}
