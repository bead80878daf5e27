/**
 * What explain() needs from within a process, and then what of its Buffers is referenced. Like
 * inside_facts.cts loaded in a program that is entered.
 */
import type { Binding } from '../door.ts' with { 'resolution-mode': 'import' };
import type { InsideFacts, MallocFacts, MappingFacts } from './facts.ts' with {
  'resolution-mode': 'import',
};
import type { Released } from './retention_model.ts' with { 'resolution-mode': 'import' };

const { gatherInside, toText } =
  require('./inside_facts.cjs') as import('./inside_facts.cts').InsideFactsModule;
const { collectGarbage, findRetained, prepareInspector } =
  require('./retained_buffers.cjs') as import('./retained_buffers.cts').RetainedBuffersModule;

const { askWorkers } =
  require('./worker_facts.cjs') as import('./worker_facts.cts').WorkerFactsModule;

type Native = Pick<
  Binding,
  'bufferRanges' | 'mallocReport' | 'ownRanges' | 'procRead' | 'threadBlocks'
>;

/**
 * The explanation is of the moment before anything is collected. Which Buffers are referenced is
 * asked last: V8 keeps tables that it makes for the answer.
 */
async function gatherDeep(native: Native): Promise<InsideFacts> {
  // The inspector takes its memory before the first look; later, the gc would seem to release less
  // than 0 bytes. The event loop does not turn in between, since finalizers would run.
  prepareInspector();
  const inside = gatherInside(native);
  const gcMs = await collectGarbage();
  await turns();
  const after = native.mallocReport();
  const released = releasedSince(inside, after);
  const workers = await askWorkers();
  const { arrayBuffers } = process.memoryUsage();
  const isFile = (address: number) => isMapped(inside.mappings, address);
  const found = findRetained(native, isFile);
  const retained = { ...found, ms: found.ms + gcMs };
  const { own, shared } = retained.kinds;
  const foundBytes = Math.max(arrayBuffers, contentBytes(after, isFile));
  const unreferencedBytes = Math.max(0, foundBytes - own.heldBytes - shared.heldBytes);
  return { ...inside, workers, deep: { retained, released, unreferencedBytes } };
}

/** Lengths of all ArrayBuffers of all isolates, as V8's own objects for them have these. */
function contentBytes({ buffers }: MallocFacts, isFile: (address: number) => boolean): number {
  let bytes = buffers.lengthBytes;
  for (let i = 0; i < buffers.elsewhere.length; i += 2) {
    const start = buffers.elsewhere[i] as number;
    if (!isFile(start)) bytes += (buffers.elsewhere[i + 1] as number) - start;
  }
  return bytes;
}

async function gatherDeepAsText(native: Native): Promise<string> {
  return toText(await gatherDeep(native));
}

const mostTurns = 50;
const turnMs = 10;

/** Until what ArrayBuffers hold does not change any more: V8 frees it on another thread. */
async function turns(): Promise<void> {
  let last = -1;
  for (let i = 0; i < mostTurns; i++) {
    await new Promise((resolve) => setTimeout(resolve, turnMs));
    const { external } = process.memoryUsage();
    if (external === last && i > 1) return;
    last = external;
  }
}

function releasedSince({ malloc: before, v8 }: InsideFacts, after: MallocFacts): Released {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  const arrayBufferBytes = v8.arrayBuffersBytes - arrayBuffers;
  const heapBytes = v8.heapUsedBytes - heapUsed;
  if (before.whyNot !== null || after.whyNot !== null) {
    return { arrayBufferBytes, heapBytes, arrayBufferCount: null, mallocBytes: null };
  }
  return {
    arrayBufferBytes,
    heapBytes,
    arrayBufferCount: before.buffers.count - after.buffers.count,
    mallocBytes: inUseOf(before) - inUseOf(after),
  };
}

function inUseOf({ arenas, mapped }: MallocFacts): number {
  const start = mapped?.residentBytes ?? 0;
  return arenas.reduce((sum, arena) => sum + arena.inUse.residentBytes, start);
}

/** Whether a file, or memory that is shared, is mapped there. */
function isMapped({ endAddress, inode, length, startAddress }: MappingFacts, address: number) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((endAddress[middle] as number) > address) high = middle;
    else low = middle + 1;
  }
  return low < length && (startAddress[low] as number) <= address && inode[low] !== 0;
}

module.exports = { gatherDeep, gatherDeepAsText };

/** What this module is to who loads it. */
export interface DeepFactsModule {
  readonly gatherDeep: typeof gatherDeep;
  readonly gatherDeepAsText: typeof gatherDeepAsText;
}
