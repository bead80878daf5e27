/** Causes of facts that no process told: what is told apart by whom. */
import { describe, expect, test } from 'vitest';
import type { Cause } from '../../src/drift/causes.ts';
import type { InsideFacts, MallocFacts, V8Facts } from '../../src/drift/facts.ts';
import { explainInside } from '../../src/drift/inside.ts';
import type { ExplainedPages } from '../../src/drift/pages.ts';
import { factsOf, type MadeMapping } from './made_facts.ts';

const MB = 1 << 20;
const part = (bytes: number) => ({ bytes, residentBytes: bytes });

/** One arena of 8 MB at 64 MB, of which 1 MB is another's, with 2 MB of Buffers in use. */
const malloc: MallocFacts = {
  allocator: 'glibc 2.36',
  whyNot: null,
  whyEstimated: null,
  arenas: [
    {
      isMain: false,
      isWhole: true,
      systemBytes: 8 * MB,
      chunks: 9,
      all: part(8 * MB),
      inUse: part(3 * MB),
      buffers: part(2 * MB),
      threadCache: part(0),
      fastBins: part(0),
      free: part(3 * MB),
      top: part(1 * MB),
      other: part(1 * MB),
      trimBytes: 2 * MB,
      trimTopBytes: 0,
      looseEndBytes: 0,
      largeHoleBytes: 0,
      ranges: [64 * MB, 72 * MB],
    },
  ],
  mapped: { count: 0, bytes: 0, residentBytes: 0, ranges: [] },
  buffers: {
    isWhole: true,
    count: 2,
    lengthBytes: 2 * MB,
    inBlocks: part(0),
    elsewhere: [],
  },
  strings: { isWhole: true, count: 0, lengthBytes: 0, blocks: part(0) },
  own: null,
  threadCaches: 1,
  trimBytes: 2 * MB,
  forkMs: 1,
  walkMs: 1,
};

const space = (name: string, bytes: number) => ({
  name,
  committedBytes: bytes,
  usedBytes: bytes,
  physicalBytes: bytes,
});
const v8: V8Facts = {
  heapTotalBytes: 5 * MB,
  heapUsedBytes: 4 * MB,
  physicalBytes: 5 * MB,
  externalBytes: 2 * MB,
  arrayBuffersBytes: 2 * MB,
  mallocedBytes: 0,
  codeBytes: 0,
  heapSizeLimitBytes: 4e9,
  constrainedBytes: null,
  spaces: [space('old_space', 4 * MB), space('code_space', MB)],
};

const arena: MadeMapping = { start: 64 * MB, end: 72 * MB, flags: 'rd wr nr' };

function explained(mappings: MadeMapping[], more: Partial<InsideFacts> = {}): ExplainedPages {
  const facts: InsideFacts = {
    nodeVersion: 'v22.0.0',
    v8,
    malloc,
    mappings: factsOf(mappings),
    vmRssBytes: null,
    threadBlocks: [],
    ownRanges: [],
    ...more,
  };
  const residentIn = (ranges: Float64Array) =>
    Array.from({ length: ranges.length / 2 }, (_, i) => ranges[2 * i + 1]! - ranges[2 * i]!);
  const pages = explainInside(facts, { ownFile: null, residentIn, pid: 'self' });
  const sum = pages.causes.reduce((all, { bytes }) => all + (bytes ?? 0), pages.unexplainedBytes);
  expect(sum).toBe(pages.rssBytes);
  return pages;
}

const row = ({ causes }: ExplainedPages, cause: Cause) => causes.find((one) => one.cause === cause);

describe('what is malloc’s', () => {
  test('is in use, of Buffers, freed or at the top, as the walk says', () => {
    const pages = explained([arena]);
    const expected = {
      'malloc-in-use': 2 * MB,
      'array-buffers': 2 * MB,
      'malloc-freed': 3 * MB,
      'malloc-top': 1 * MB,
    } as const;
    for (const [cause, bytes] of Object.entries(expected)) {
      expect(row(pages, cause as Cause)).toMatchObject({ bytes, exactness: 'exact' });
    }
    expect(pages.unexplainedBytes).toBe(0);
  });

  test('has grown since the walk: an arena, or one that was not there', () => {
    const grown = { ...arena, end: 74 * MB };
    const other = { start: 128 * MB, end: 129 * MB, flags: 'rd wr nr' };
    const pages = explained([grown, other]);
    expect(row(pages, 'malloc-in-use')?.bytes).toBe(5 * MB);
    expect(pages.unexplainedBytes).toBe(0);
  });

  test('has shrunk since the walk: what is free went', () => {
    const pages = explained([{ ...arena, rss: 5 * MB }]);
    expect(row(pages, 'malloc-in-use')?.bytes).toBe(2 * MB);
    expect(row(pages, 'malloc-freed')?.bytes).toBe(1 * MB);
    expect(row(pages, 'malloc-top')?.bytes).toBe(0);
  });

  test('is an estimate where blocks that are mappings are others than malloc counts', () => {
    const mapped = { count: 3, bytes: 3 * MB, residentBytes: null, ranges: [] };
    const pages = explained([arena], { malloc: { ...malloc, mapped } });
    expect(row(pages, 'malloc-in-use')?.exactness).toBe('estimated');
  });

  test('has not all Buffers that V8 counts, which is said', () => {
    const pages = explained([arena], { v8: { ...v8, arrayBuffersBytes: 9 * MB } });
    expect(row(pages, 'array-buffers')).toMatchObject({
      exactness: 'estimated',
      detail: expect.stringContaining('malloc-in-use'),
    });
  });
});

describe('what is V8’s', () => {
  const heap = { start: MB, end: 11 * MB, flags: 'rd wr dc nr' };

  test('beyond what it counts, code aside, is kept by it', () => {
    const pages = explained([heap]);
    expect(row(pages, 'v8-heap')?.bytes).toBe(4 * MB);
    expect(row(pages, 'v8-pooled')?.bytes).toBe(6 * MB);
  });

  test('has no more than is resident in its heap', () => {
    const pages = explained([{ ...heap, rss: 3 * MB }]);
    expect(row(pages, 'v8-heap')?.bytes).toBe(3 * MB);
    expect(row(pages, 'v8-pooled')?.bytes).toBe(0);
  });

  test('has Buffers in it, of WebAssembly; a view of shared memory is not one', () => {
    const segment = { start: 32 * MB, end: 40 * MB, name: '/dev/shm/x', inode: 5, perms: 'rw-s' };
    const elsewhere = [2 * MB, 5 * MB, 32 * MB, 40 * MB];
    const pages = explained([heap, segment], {
      malloc: { ...malloc, buffers: { ...malloc.buffers, elsewhere } },
    });
    expect(row(pages, 'array-buffers')?.bytes).toBe(3 * MB);
    expect(row(pages, 'shared-segment')?.bytes).toBe(8 * MB);
  });
});

test('our own is ours, in whatever mapping it is', () => {
  const pages = explained([{ start: MB, end: 4 * MB }], { ownRanges: [2 * MB, 3 * MB] });
  expect(row(pages, 'memdrift')?.bytes).toBe(MB);
  expect(pages.unexplainedBytes).toBe(2 * MB);
});

test('copied pages of a file are the process’s own', () => {
  const data = { start: MB, end: 9 * MB, name: '/srv/data', inode: 7, perms: 'rw-p' };
  const pages = explained([{ ...data, anonymous: 3 * MB }]);
  expect(row(pages, 'file-private')?.bytes).toBe(3 * MB);
  expect(row(pages, 'file-data')?.bytes).toBe(5 * MB);
});

test('memory that a fork shares has its PSS beside it, and hugetlbfs a row', () => {
  const shared = { start: MB, end: 9 * MB, pss: 4 * MB };
  const huge = { start: 16 * MB, end: 18 * MB, rss: 0, name: '/dev/hugepages/x', inode: 9 };
  const { beside } = explained([shared, { ...huge, hugetlb: 2 * MB }]);
  expect(beside.forkShared).toEqual({ rssBytes: 8 * MB, pssBytes: 4 * MB });
  expect(beside.hugetlbBytes).toBe(2 * MB);
});

describe('contents of ArrayBuffers that are mappings', () => {
  const memory = { start: 2 ** 40, end: 2 ** 40 + 64 * MB };
  const explainedWith = (guardBytes: number) => {
    const guard = { start: memory.end, end: memory.end + guardBytes, rss: 0, perms: '---p' };
    const elsewhere = [memory.start, memory.end];
    const buffers = { ...malloc.buffers, elsewhere };
    return explained([memory, guard], { malloc: { ...malloc, buffers } });
  };

  test('are of WebAssembly where V8 reserves all that an index can reach', () => {
    expect(row(explainedWith(8 * 2 ** 30), 'wasm-memory')?.bytes).toBe(64 * MB);
  });

  test('are of any ArrayBuffer where less is reserved', () => {
    const pages = explainedWith(2 ** 30);
    expect(row(pages, 'wasm-memory')?.bytes).toBe(0);
    expect(row(pages, 'array-buffers')?.bytes).toBe(64 * MB);
  });
});

test('free room in the heap’s pages is not objects', () => {
  const young = { ...space('new_space', 4 * MB), usedBytes: MB };
  const heap = { start: MB, end: 11 * MB, flags: 'rd wr dc nr' };
  const pages = explained([heap], { v8: { ...v8, spaces: [space('old_space', 4 * MB), young] } });
  expect(row(pages, 'v8-heap')?.bytes).toBe(5 * MB);
  expect(row(pages, 'v8-free')?.bytes).toBe(3 * MB);
  expect(row(pages, 'v8-pooled')?.bytes).toBe(2 * MB);
});
