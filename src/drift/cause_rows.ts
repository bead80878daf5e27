/** The rows of causes, of a process that was asked from within. */
import type { Exactness } from '../proc/exactness.ts';
import { type Cause, type CauseRow, causeNames } from './causes.ts';
import type { InsideFacts } from './facts.ts';
import type { Holder } from './holders.ts';
import { type MallocParts, partsByStatistics, partsOfMalloc } from './malloc_causes.ts';
import { partsOfV8, type V8Parts, type V8Resident, youngFreeBytes } from './v8_causes.ts';

export interface RowSources {
  readonly facts: InsideFacts;
  /** Resident bytes by holder. */
  readonly of: (holder: Holder) => number;
  readonly v8: V8Resident;
  /** False: the kernel does not say which pages of a mapping are there. */
  readonly isMeasured: boolean;
  /** How many memories of WebAssembly were found. */
  readonly wasmMemories: number;
}

type Row = Omit<CauseRow, 'cause'>;

type MallocCause =
  | 'array-buffers'
  | 'external-strings'
  | 'malloc-freed'
  | 'malloc-in-use'
  | 'malloc-top';

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

/** Largest first. */
export function causeRows(sources: RowSources): CauseRow[] {
  const { facts, of } = sources;
  const malloc = partsOfMalloc(facts.malloc, of('malloc'));
  const v8 = partsOfV8(sources.v8);
  const rows: Record<Cause, Row> = {
    ...v8Rows(sources, v8),
    ...mallocRows(sources, malloc),
    'thread-stacks': stacksRow(sources),
    'shared-segment': kernelRow(of, 'shared-segment', 'other processes may map the same pages'),
    'file-code': kernelRow(of, 'file-code', 'pages of their files; other processes share them'),
    'file-data': kernelRow(of, 'file-data', 'pages of the page cache while they are mapped'),
    'file-private': kernelRow(of, 'file-private', privateDetail),
    'wasm-memory': wasmRow(sources),
    memdrift: kernelRow(of, 'memdrift', 'the addon, and what it mapped for itself'),
    'kernel-special': kernelRow(of, 'kernel-special', ''),
  };
  return inOrder(rows);
}

/** Rows with their causes, largest first; those whose bytes are elsewhere at the end. */
export function inOrder(rows: Record<Cause, Row>): CauseRow[] {
  return causeNames
    .map((cause) => ({ cause, ...rows[cause] }))
    .sort((a, b) => (b.bytes ?? -1) - (a.bytes ?? -1));
}

export function kernelRow(of: RowSources['of'], holder: Holder, detail: string): Row {
  return { bytes: of(holder), exactness: 'kernel', detail };
}

function v8Rows(
  { facts, of, v8: { isolates } }: RowSources,
  { freeBytes, heapBytes, pooledBytes }: V8Parts,
): Record<'v8-free' | 'v8-heap' | 'v8-code' | 'v8-pooled', Row> {
  const others = isolates - 1;
  const have = others === 1 ? 'isolate has' : 'isolates have';
  const elsewhere = `in v8-heap: ${others} more ${have} a heap`;
  const heap =
    pooledBytes === null
      ? `of ${isolates} isolates, with what they keep beyond their heaps`
      : 'objects as V8 counts them, garbage that it has not collected yet among them';
  const youngBytes = megabytes(youngFreeBytes(facts.v8.spaces));
  const young = `; V8 counts ${youngBytes} in the young generation, resident or not`;
  const free = `in pages of the heap${others === 0 ? young : 's of all isolates'}`;
  return {
    'v8-heap': { bytes: heapBytes, exactness: 'estimated', detail: heap },
    'v8-free': {
      bytes: freeBytes,
      exactness: 'estimated',
      detail: freeBytes === null ? elsewhere : free,
    },
    'v8-pooled': {
      bytes: pooledBytes,
      exactness: 'estimated',
      detail:
        pooledBytes === null
          ? elsewhere
          : 'resident beyond the heap: free pages that V8 keeps for a while, and tables',
    },
    'v8-code': {
      bytes: of('v8-code'),
      exactness: 'kernel',
      detail: `V8 counts ${megabytes(facts.v8.codeBytes)} of code and metadata`,
    },
  };
}

function mallocRows(sources: RowSources, parts: MallocParts): Record<MallocCause, Row> {
  const { malloc } = sources.facts;
  const { allocator, whyNot } = malloc;
  if (whyNot !== null) return unwalkedRows(sources);
  const whyNotExact = whyEstimatedOf(sources);
  const exactness: Exactness = whyNotExact === null ? 'exact' : 'estimated';
  const more = whyNotExact === null ? '' : `; ${whyNotExact}`;
  const blocks = `${malloc.mapped?.count ?? 'unknown'} mapped blocks`;
  const arenas = `${malloc.arenas.length} ${malloc.arenas.length === 1 ? 'arena' : 'arenas'}`;
  return {
    'array-buffers': buffersRow(sources, parts),
    'external-strings': stringsRow(sources, parts),
    'malloc-in-use': {
      bytes: parts.inUseBytes,
      exactness,
      detail: `${allocator}, ${arenas} and ${blocks}${more}`,
    },
    'malloc-freed': {
      bytes: parts.freedBytes,
      exactness,
      detail: `malloc_trim(0) would give back ${megabytes(malloc.trimBytes)}, malloc-top included`,
    },
    'malloc-top': {
      bytes: parts.topBytes,
      exactness,
      detail: 'free ends of arenas; a trim returns the main arena’s',
    },
  };
}

/** Null: exact. */
function whyEstimatedOf({ facts, isMeasured }: RowSources): string | null {
  const { mapped, whyEstimated } = facts.malloc;
  if (whyEstimated !== null) return whyEstimated;
  if (!isMeasured) return 'the kernel does not say which pages of a mapping are resident';
  if (mapped === null) return 'malloc does not say how many blocks are mappings of their own';
  if (mapped.residentBytes !== null) return null;
  return `malloc counts ${mapped.count} blocks that are mappings, and others were found`;
}

/** Contents are found by V8's own objects for them; V8's counter says whether all were. */
function buffersRow(sources: RowSources, parts: MallocParts): Row {
  const { facts, of } = sources;
  const { buffers } = facts.malloc;
  const counted = facts.v8.arrayBuffersBytes;
  const areAll = buffers.isWhole && buffers.lengthBytes >= 0.98 * counted - 65536;
  const count = buffers.elsewhere.length / 2;
  const mapped = count === 0 ? '' : `, and of ${count} that are mappings`;
  const isExact = areAll && whyEstimatedOf(sources) === null;
  return {
    bytes: parts.arrayBufferBytes + of('array-buffers'),
    exactness: isExact ? 'exact' : 'estimated',
    detail: areAll
      ? `resident of ${megabytes(buffers.lengthBytes)} in ${buffers.count} buffers${mapped}`
      : `V8 counts ${megabytes(counted)}, of which ${megabytes(buffers.lengthBytes)} were found; ` +
        'the rest is in malloc-in-use',
  };
}

function stringsRow({ facts }: RowSources, { stringBytes }: MallocParts): Row {
  const { count, isWhole, lengthBytes } = facts.malloc.strings;
  const least = isWhole ? '' : 'at least ';
  return {
    bytes: stringBytes,
    exactness: 'estimated',
    detail: `resident of ${least}${megabytes(lengthBytes)} in ${count} strings of this isolate`,
  };
}

/** By the allocator's own counts. */
function statisticsRows(
  allocator: string,
  parts: MallocParts,
  own: NonNullable<InsideFacts['malloc']['own']>,
): Record<MallocCause, Row> {
  const row = (bytes: number | null, detail: string): Row => ({
    bytes,
    exactness: 'estimated',
    detail,
  });
  return {
    'array-buffers': row(parts.arrayBufferBytes, 'as V8 counts them, of this isolate'),
    'external-strings': row(null, `in malloc-in-use: ${allocator} is not walked`),
    'malloc-in-use': row(
      parts.inUseBytes,
      `${allocator} counts ${megabytes(own.allocatedBytes)} as allocated, Buffers among them`,
    ),
    'malloc-freed': row(
      parts.freedBytes,
      `${allocator} counts ${megabytes(own.residentBytes)} as resident, of it ` +
        `${megabytes(own.activeBytes)} in pages with blocks in use`,
    ),
    'malloc-top': row(null, `in malloc-freed: ${allocator} does not count it`),
  };
}

/** Of an allocator whose memory is not walked: what is its, and nobody else's that we know. */
function unwalkedRows({ facts, of }: RowSources): Record<MallocCause, Row> {
  const { allocator, own, whyNot } = facts.malloc;
  const residentBytes = of('malloc') + of('array-buffers');
  const { arrayBuffersBytes } = facts.v8;
  const parts = partsByStatistics(facts.malloc, { residentBytes, arrayBuffersBytes });
  if (parts !== null && own !== null) return statisticsRows(allocator, parts, own);
  const elsewhere: Row = {
    bytes: null,
    exactness: 'estimated',
    detail: `in malloc-in-use: ${allocator} is not walked`,
  };
  return {
    'array-buffers': elsewhere,
    'external-strings': elsewhere,
    'malloc-freed': elsewhere,
    'malloc-top': elsewhere,
    'malloc-in-use': {
      bytes: residentBytes,
      exactness: 'estimated',
      detail: `${allocator}: in use or freed, and anonymous mappings of others; ${whyNot}`,
    },
  };
}

export const privateDetail =
  'written data of the program, its libraries and private mappings of files';

function wasmRow({ of, wasmMemories: count }: RowSources): Row {
  const what = count === 1 ? 'memory' : 'memories';
  const detail = `${count} ${what}; known by the room that V8 reserves behind each`;
  return { bytes: of('wasm-memory'), exactness: 'kernel', detail };
}

function stacksRow({ facts, of }: RowSources): Row {
  const count = facts.threadBlocks.length + 1;
  const threads = `${count} ${count === 1 ? 'thread' : 'threads'}`;
  const detail = `${threads}, and cached stacks of threads that ended`;
  return { bytes: of('thread-stacks'), exactness: 'kernel', detail };
}
