/** Sentences about memory of V8 and Node. */
import type { Explanation } from '../drift/explain_model.ts';
import type { RetainedSum } from '../drift/retention_model.ts';
import { type Advice, bytesOf, size, trackingText } from './advice_facts.ts';
import { areBuffersOfWorkers, areObjectsOfWorkers, threadAdvices } from './thread_advice.ts';
import { megabytesWithUnit } from './units.ts';

export const runtimeAdvices: readonly Advice[] = [
  {
    name: 'objects that were garbage',
    cause: 'v8-heap',
    bytes: (e) => (isGarbage(e) ? bytesOf(e, 'v8-heap') : 0),
    text: (e) =>
      `${size(e, 'v8-heap')} were V8's objects, of which a gc collected ` +
      `${megabytesWithUnit(e.deep?.released.heapBytes ?? null)}: garbage.`,
  },
  {
    name: 'objects',
    cause: 'v8-heap',
    bytes: (e) =>
      e.isNode && !isGarbage(e) && !areObjectsOfWorkers(e) ? bytesOf(e, 'v8-heap') : 0,
    text: (e) =>
      e.source === 'outside'
        ? `${size(e, 'v8-heap')} are V8's: objects, and free room that it keeps.`
        : `${size(e, 'v8-heap')} are V8's objects${largeText(e)}` +
          `${trackingText(e, 'shows which functions made the objects', ' --js-heap')}; a heap ` +
          'snapshot shows what references them.',
  },
  ...threadAdvices,
  {
    name: 'free room in V8’s heap',
    cause: 'v8-free',
    bytes: (e) => bytesOf(e, 'v8-free'),
    text: (e) => {
      const all = bytesOf(e, 'v8-free');
      const young = e.v8?.youngFreeBytes ?? 0;
      const start = `${megabytesWithUnit(all)} are free room in V8's heap, and not objects`;
      if ((e.v8?.isolates ?? 1) > 1) return `${start}; explain --deep shows it by thread.`;
      return young > all / 2
        ? `${start}, most of it in the young generation, whose size --max-semi-space-size ` +
            'bounds; V8 uses it for new objects.'
        : `${start}: gaps between objects of pages that are in use.`;
    },
  },
  {
    name: 'pages that V8 keeps',
    cause: 'v8-pooled',
    bytes: (e) => bytesOf(e, 'v8-pooled'),
    text: (e) =>
      `${size(e, 'v8-pooled')} are pages that V8 has freed and keeps for its next objects: no ` +
      'object is in them.',
  },
  {
    name: 'WebAssembly memories',
    cause: 'wasm-memory',
    bytes: (e) => bytesOf(e, 'wasm-memory'),
    text: (e) =>
      `${size(e, 'wasm-memory')} are memories of WebAssembly, which grow and never shrink: one ` +
      'is released as a whole, when nothing references its WebAssembly.Memory.',
  },
  {
    name: 'strings outside V8’s heap',
    cause: 'external-strings',
    bytes: (e) => bytesOf(e, 'external-strings'),
    text: (e) =>
      `${size(e, 'external-strings')} are contents of large JavaScript strings, outside V8's ` +
      'heap: each stays whole while the string, or a slice of it, is referenced; a heap snapshot ' +
      'shows what references them.',
  },
  {
    name: 'Buffers that JavaScript does not reference',
    cause: 'array-buffers',
    bytes: (e) => (isUnreferenced(e) ? bytesOf(e, 'array-buffers') : 0),
    text: (e) =>
      `${residentText(e, unreferencedBytes(e))} of ${size(e, 'array-buffers')} in Buffers are ` +
      'referenced by no JavaScript object of the main thread: native code holds them (Blobs, ' +
      'streams, pending writes), or messages, or other isolates.',
  },
  {
    name: 'Buffers that were garbage',
    cause: 'array-buffers',
    bytes: (e) => (isMost(e, releasedBufferBytes(e)) ? bytesOf(e, 'array-buffers') : 0),
    text: (e) =>
      `${residentText(e, releasedBufferBytes(e))} of ${size(e, 'array-buffers')} in Buffers ` +
      'were garbage, which a gc and finalizers released.',
  },
  {
    name: 'Buffers that slices keep',
    cause: 'array-buffers',
    bytes: (e) => (isKeptBySlices(e) ? bytesOf(e, 'array-buffers') : 0),
    text: (e) => {
      const { heldBytes, referencedBytes } = ownOf(e) as RetainedSum;
      return (
        `${size(e, 'array-buffers')} are contents of Buffers: ${residentText(e, heldBytes)} ` +
        `are kept by slices that have ${megabytesWithUnit(referencedBytes)} of them: keep copies ` +
        'of small slices (new Uint8Array(slice)), which keep nothing else.'
      );
    },
  },
  {
    name: 'Buffers',
    cause: 'array-buffers',
    bytes: (e) => (isSaidOtherwise(e) ? 0 : bytesOf(e, 'array-buffers')),
    text: (e) =>
      `${size(e, 'array-buffers')} are contents of Buffers` +
      `${trackingText(e, 'shows which functions make them')}` +
      `${e.deep === null ? '; explain --deep shows which are referenced' : ''}.`,
  },
  {
    name: 'stacks',
    cause: 'thread-stacks',
    bytes: (e) => bytesOf(e, 'thread-stacks'),
    text: (e) =>
      `${size(e, 'thread-stacks')} are stacks of threads: fewer threads or less recursion takes ` +
      `less${(e.v8?.isolates ?? 1) > 1 ? '; resourceLimits.stackSizeMb bounds a Worker’s' : ''}.`,
  },
];

/**
 * Returns a clause where single large objects are a quarter of the heap. Other isolates' are not
 * counted.
 */
function largeText(e: Explanation): string {
  const spaces = e.v8?.spaces ?? [];
  const large = spaces.filter(({ name }) => /^(new_)?large_object_space$/.test(name));
  const bytes = large.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  if (bytes < bytesOf(e, 'v8-heap') / 4) return '';
  return (
    `, ${megabytesWithUnit(bytes)} of these in single strings, arrays or tables of more than ` +
    '128 KiB, which are the largest shallow sizes in a heap snapshot'
  );
}

/** Most of the objects that there were. */
function isGarbage(e: Explanation): boolean {
  return (e.deep?.released.heapBytes ?? 0) > bytesOf(e, 'v8-heap') / 2;
}

const ownOf = (e: Explanation): RetainedSum | undefined => e.deep?.retained.kinds.own;
const unreferencedBytes = (e: Explanation): number => e.deep?.unreferencedBytes ?? 0;
const releasedBufferBytes = (e: Explanation): number =>
  Math.max(0, e.deep?.released.arrayBufferBytes ?? 0);

/**
 * Bounds the resident bytes of some Buffers by their length: all other Buffers together take at
 * most their own lengths of the resident bytes.
 */
function residentOf(e: Explanation, lengthBytes: number): { least: number; most: number } {
  const resident = bytesOf(e, 'array-buffers');
  const { own, shared } = e.deep?.retained.kinds ?? {};
  const referencedBytes = (own?.heldBytes ?? 0) + (shared?.heldBytes ?? 0);
  const all = referencedBytes + unreferencedBytes(e) + releasedBufferBytes(e);
  const most = Math.min(resident, lengthBytes);
  return { least: Math.min(most, Math.max(0, resident - (all - lengthBytes))), most };
}

function residentText(e: Explanation, lengthBytes: number): string {
  const { least, most } = residentOf(e, lengthBytes);
  const isOne = most - least <= Math.max(2e6, 0.03 * most);
  return isOne
    ? megabytesWithUnit(most)
    : `${megabytesWithUnit(least)} to ${megabytesWithUnit(most)}`;
}

function isMost(e: Explanation, lengthBytes: number): boolean {
  return residentOf(e, lengthBytes).least > bytesOf(e, 'array-buffers') / 2;
}

/** Returns false where Workers made most Buffers, since Workers' objects may reference them. */
function isUnreferenced(e: Explanation): boolean {
  return isMost(e, unreferencedBytes(e)) && !areBuffersOfWorkers(e);
}

function isKeptBySlices(e: Explanation): boolean {
  const own = ownOf(e);
  return own !== undefined && isMost(e, own.heldBytes - own.referencedBytes);
}

function isSaidOtherwise(e: Explanation): boolean {
  return (
    areBuffersOfWorkers(e) ||
    isUnreferenced(e) ||
    isMost(e, releasedBufferBytes(e)) ||
    isKeptBySlices(e)
  );
}
