/**
 * Gathers what explain() needs from within a process. A module of its own kind, so that a program
 * that is entered through its inspector or its socket can load it without waiting, and nothing
 * else of memdrift's.
 */
import type { Binding } from '../door.ts' with { 'resolution-mode': 'import' };
import type { InsideFacts, MappingFacts, V8Facts } from './facts.ts' with {
  'resolution-mode': 'import',
};

const { threadId } = require('node:worker_threads') as typeof import('node:worker_threads');
const v8 = require('node:v8') as typeof import('node:v8');

type Native = Pick<Binding, 'mallocReport' | 'ownRanges' | 'procRead' | 'threadBlocks'>;

/**
 * V8 is asked first, since the others' answers are objects on its heap; the mappings last, so that
 * what they say is the moment that all is explained at.
 */
function gatherInside(native: Native): InsideFacts {
  const startMs = performance.now();
  const heap = heapFacts();
  const malloc = native.mallocReport();
  const threadBlocks = native.threadBlocks(-1);
  const ownRanges = native.ownRanges();
  // Before the mappings, whose rows are memory too.
  const { rssBytes } = native.procRead(-1, 'counters', false);
  const smaps = native.procRead(-1, 'smaps', false);
  const mappings = mappingFacts(smaps);
  return {
    nodeVersion: process.version,
    threadId,
    pauseMs: performance.now() - startMs,
    v8: heap,
    malloc,
    mappings,
    vmRssBytes: typeof rssBytes === 'number' && rssBytes >= 0 ? rssBytes : null,
    threadBlocks,
    ownRanges,
  };
}

/** The same as text, for one who asks from outside. */
function gatherInsideAsText(native: Native): string {
  return toText(gatherInside(native));
}

function toText(facts: InsideFacts): string {
  return JSON.stringify(facts, (_key, value) =>
    ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value,
  );
}

function heapFacts(): V8Facts {
  const heap = v8.getHeapStatistics();
  const { arrayBuffers, external } = process.memoryUsage();
  const limit = process.constrainedMemory?.() ?? 0;
  return {
    heapTotalBytes: heap.total_heap_size,
    heapUsedBytes: heap.used_heap_size,
    physicalBytes: heap.total_physical_size,
    externalBytes: external,
    arrayBuffersBytes: arrayBuffers,
    mallocedBytes: heap.malloced_memory,
    codeBytes: v8.getHeapCodeStatistics().code_and_metadata_size,
    heapSizeLimitBytes: heap.heap_size_limit,
    // Where there is none it is 0, or more than any machine has.
    constrainedBytes: limit > 0 && limit < 2 ** 53 ? limit : null,
    spaces: v8.getHeapSpaceStatistics().map((space) => ({
      name: space.space_name,
      committedBytes: space.space_size,
      usedBytes: space.space_used_size,
      physicalBytes: space.physical_space_size,
    })),
  };
}

type Smaps = ReturnType<typeof smapsOf>;
/** For its type only. */
const smapsOf = (native: Native) => native.procRead(-1, 'smaps', false);

function mappingFacts(smaps: Smaps): MappingFacts {
  const column = (name: string): Float64Array =>
    smaps.columns[name] ?? new Float64Array(smaps.length);
  return {
    length: smaps.length,
    startAddress: smaps.startAddress,
    endAddress: smaps.endAddress,
    rssBytes: column('rssBytes'),
    swapBytes: column('swapBytes'),
    anonHugePagesBytes: column('anonHugePagesBytes'),
    pssBytes: column('pssBytes'),
    anonymousBytes: column('anonymousBytes'),
    sharedHugetlbBytes: column('sharedHugetlbBytes'),
    privateHugetlbBytes: column('privateHugetlbBytes'),
    inode: Float64Array.from(smaps.inode, Number),
    permissions: smaps.permissions,
    name: smaps.name,
    vmFlags: smaps.vmFlags,
    deleted: smaps.deleted,
    strings: smaps.strings,
  };
}

module.exports = { gatherInside, gatherInsideAsText, mappingFacts, toText };

/** What this module is to who loads it. */
export interface InsideFactsModule {
  readonly gatherInside: typeof gatherInside;
  readonly gatherInsideAsText: typeof gatherInsideAsText;
  readonly mappingFacts: typeof mappingFacts;
  readonly toText: typeof toText;
}
