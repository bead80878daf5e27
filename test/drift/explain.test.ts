/** What explain() says of Node processes that take memory in known ways. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Cause, causeNames } from '../../src/drift/causes.ts';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { root } from '../tidy/files.ts';
import { Addons } from './addons.ts';

const addons = new Addons();
afterAll(() => addons.remove());
const environment = { ...process.env, HOLD_ADDON: addons.compile('hold.c', 'hold.node') };

interface Answer {
  readonly explanation: Explanation;
  readonly external: number;
  readonly arrayBuffers: number;
}

function explained(state: string, env: NodeJS.ProcessEnv = {}): Answer {
  const script = join(root, 'test/fixtures/drift/explained.mjs');
  const args = ['--expose-gc', script, state, join(addons.folder, `${state}.mdc`)];
  const options = { encoding: 'utf8', env: { ...environment, ...env } } as const;
  const answer = JSON.parse(execFileSync(process.execPath, args, options)) as Answer;
  expectSums(answer.explanation);
  return answer;
}

function expectSums(explanation: Explanation): void {
  const { causes, mappings, otherMappings, rssBytes, unexplainedBytes } = explanation;
  expect(causes.map(({ cause }) => cause).sort()).toEqual([...causeNames].sort());
  const sum = causes.reduce((all, row) => all + (row.bytes ?? 0), unexplainedBytes);
  expect(sum).toBe(rssBytes);
  const ofMappings = mappings.reduce((all, row) => all + row.rssBytes, otherMappings.rssBytes);
  expect(ofMappings).toBe(rssBytes);
}

function expectExplained({ mappings, unexplainedBytes }: Explanation): void {
  const rest = mappings.filter(({ holder }) => holder === 'unexplained').slice(0, 5);
  expect(unexplainedBytes, JSON.stringify(rest)).toBeLessThan(4e6);
}

const bytesOf = ({ causes }: Explanation, cause: Cause): number =>
  causes.find((row) => row.cause === cause)?.bytes ?? Number.NaN;

const heldBytes = 64 << 20;

/** `nothing` is what another process has without it, to some MB: known_answers has one process. */
function expectGrowth(explanation: Explanation, cause: Cause | 'unexplained', bytes: number): void {
  const of = (one: Explanation) =>
    cause === 'unexplained' ? one.unexplainedBytes : bytesOf(one, cause);
  const growth = of(explanation) - of(nothing.explanation);
  expect(Math.abs(growth - bytes)).toBeLessThan(Math.max(0.1 * bytes, 2e6));
}

const nothing = explained('nothing');

describe('a process that holds nothing', () => {
  test('has nearly nothing that is not explained', () => {
    const { rssBytes, vmRssBytes } = nothing.explanation;
    expectExplained(nothing.explanation);
    expect(Math.abs((vmRssBytes ?? Number.NaN) - rssBytes)).toBeLessThan(4e6);
  });

  test('says who was asked, and what V8 says beside', () => {
    expect(nothing.explanation).toMatchObject({
      schemaVersion: 1,
      source: 'self',
      sourceReason: null,
      nodeVersion: process.version,
      v8: { isolates: 1, arrayBuffersBytes: expect.any(Number) },
      malloc: { exactness: 'exact', allocator: expect.stringMatching(/^glibc /) },
    });
  });
});

test.each([
  ['buffers', 'array-buffers', heldBytes],
  ['smallBuffers', 'array-buffers', 64e6],
  ['webAssembly', 'wasm-memory', heldBytes],
  ['growing', 'array-buffers', heldBytes],
  ['byMalloc', 'malloc-in-use', heldBytes],
  ['byMmap', 'unexplained', heldBytes],
  ['manyMappings', 'unexplained', 25_000 * 4096],
  // Once as its producer mapped it, and once as its reader does.
  ['store', 'shared-segment', 2 * heldBytes],
] as const)('%s: its bytes are under %s, which grows by them', (state, cause, bytes) => {
  expectGrowth(explained(state).explanation, cause, bytes);
});

test('what Buffers hold is exact where V8 counts as much; untouched pages are not resident', () => {
  const { explanation, arrayBuffers } = explained('untouched');
  expect(arrayBuffers).toBeGreaterThan(heldBytes);
  expectGrowth(explanation, 'array-buffers', 0);
  const row = explanation.causes.find(({ cause }) => cause === 'array-buffers');
  expect(row?.exactness).toBe('exact');
});

test('objects are V8’s heap', () => {
  const { explanation } = explained('heap');
  const grown = (explanation.v8?.heapUsedBytes ?? 0) - (nothing.explanation.v8?.heapUsedBytes ?? 0);
  const growth = bytesOf(explanation, 'v8-heap') - bytesOf(nothing.explanation, 'v8-heap');
  expect(growth).toBeGreaterThan(0.97 * grown);
});

test('what is V8’s and in no heap of its is kept by it, also right after a collection', () => {
  const { explanation } = explained('collected');
  const v8 = ['v8-heap', 'v8-free', 'v8-pooled', 'v8-code'] as const;
  const resident = v8.reduce((sum, cause) => sum + bytesOf(explanation, cause), 0);
  const listed = explanation.mappings
    .filter(({ holder }) => holder === 'v8' || holder === 'v8-code')
    .reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  expect(resident).toBeGreaterThanOrEqual(listed);
  const physical = explanation.v8?.physicalBytes ?? 0;
  expect(bytesOf(explanation, 'v8-heap')).toBeLessThan(physical + 2e6);
  expectExplained(explanation);
});

test('workers’ stacks are stacks, and their heaps V8’s, which one isolate cannot count', () => {
  const { explanation } = explained('workers');
  expect(explanation.v8?.isolates).toBe(5);
  const growth =
    bytesOf(explanation, 'thread-stacks') - bytesOf(nothing.explanation, 'thread-stacks');
  // 5000 frames of a function of JavaScript, four times.
  expect(growth).toBeGreaterThan(4 * 5000 * 48);
  const pooled = explanation.causes.find(({ cause }) => cause === 'v8-pooled');
  expect(pooled).toMatchObject({ bytes: null, detail: expect.stringContaining('v8-heap') });
});

test('views of shared memory are not in what V8 is told of', () => {
  const { explanation } = explained('store');
  expect(explanation.v8?.externalBytes).toBeLessThan(nothing.external + 4e6);
});

test('a tracker’s memory is memdrift’s', () => {
  const { explanation } = explained('tracked');
  const growth = bytesOf(explanation, 'memdrift') - bytesOf(nothing.explanation, 'memdrift');
  expect(growth).toBeGreaterThan(500e3);
  expectExplained(explanation);
});

test('another malloc is named, and its memory not told apart', () => {
  const otherMalloc = addons.compile('other_malloc.c', 'other_malloc.so');
  const { explanation } = explained('buffers', { LD_PRELOAD: otherMalloc });
  const rows = new Map(explanation.causes.map((row) => [row.cause, row]));
  expect(rows.get('malloc-in-use')).toMatchObject({
    exactness: 'estimated',
    detail: expect.stringContaining('other_malloc.so'),
  });
  expect(rows.get('malloc-in-use')?.bytes).toBeGreaterThan(heldBytes);
  for (const cause of ['array-buffers', 'malloc-freed', 'malloc-top'] as const) {
    expect(rows.get(cause)).toMatchObject({ bytes: null, exactness: 'estimated' });
  }
  expect(explanation.malloc).toMatchObject({ arenas: null, trimBytes: null });
});
