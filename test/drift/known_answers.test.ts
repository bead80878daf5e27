/**
 * explain() of programs of which is known what they made. The right cause has grown most, by what
 * the program says; nothing is left over; and malloc_trim(0) then returns what was foretold.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { adviceOf } from '../../src/report/explain_advice.ts';
import {
  type Answer,
  growth,
  KnownPrograms,
  type Surroundings,
  type Truth,
} from './known_programs.ts';

const programs = new KnownPrograms();
afterAll(() => programs.remove());

const mb = 1e6;
const hugePageBytes = 2 << 20;

/** Within 3 % or 2 MB. */
function expectBytes(bytes: number, truth: number, what: string): void {
  const tolerance = Math.max(0.03 * truth, 2 * mb);
  expect(Math.abs(bytes - truth), `${what}: ${bytes}, and not ${truth}`).toBeLessThan(tolerance);
}

function expectWhole(explanation: Explanation): void {
  expectExplained(explanation);
  const { rssBytes, vmRssBytes } = explanation;
  expectBytes(rssBytes, vmRssBytes ?? NaN, 'the kernel’s own count');
}

function expectExplained({ causes, rssBytes, unexplainedBytes }: Explanation): void {
  const sum = causes.reduce((total, { bytes }) => total + (bytes ?? 0), unexplainedBytes);
  expect(sum).toBe(rssBytes);
  expect(unexplainedBytes).toBeGreaterThanOrEqual(0);
  expect(unexplainedBytes).toBeLessThan(Math.max(0.02 * rssBytes, 4 * mb));
}

function expectGrowth(answer: Pick<Answer, 'after' | 'before' | 'truth'>): void {
  const grown = growth(answer);
  const [first] = [...answer.truth].sort((a, b) => b[1] - a[1]);
  if (first && first[1] > 5 * mb) expect(grown[0]?.[0]).toBe(first[0]);
  for (const [cause, bytes] of answer.truth) {
    expectBytes(grown.find(([name]) => name === cause)?.[1] ?? NaN, bytes, cause);
  }
}

function expectTrim({ after, returnedBytes = NaN }: Answer): void {
  const foretold = after.malloc?.trimBytes ?? NaN;
  const tolerance = Math.max(0.05 * returnedBytes, mb);
  expect(Math.abs(foretold - returnedBytes)).toBeLessThan(tolerance);
}

const cases: readonly (readonly [title: string, name: string, surroundings: Surroundings])[] = [
  ['malloc, held', 'mallocHeld', {}],
  ['malloc, freed behind pins', 'mallocFreed', {}],
  ['a pin in every page: freed, and nothing to return', 'pinPerPage', {}],
  ['malloc, freed and trimmed', 'alreadyTrimmed', {}],
  ['fast bins', 'fastBins', {}],
  [
    'threads’ caches',
    'threadCache',
    { env: { GLIBC_TUNABLES: 'glibc.malloc.tcache_count=65535' } },
  ],
  ['arenas of many threads', 'arenas', {}],
  ['Buffers, held', 'buffersHeld', {}],
  ['slices that pin their slab', 'slices', {}],
  ['ArrayBuffers whose finalizers have not run', 'pendingFinalizers', {}],
  ['objects on V8’s heap', 'v8Heap', { nodeFlags: ['--max-semi-space-size=1'] }],
  ['a mapped file', 'mappedFile', {}],
  ['shared memory of an addon', 'sharedMemory', {}],
  ['a segment', 'segment', {}],
  ['a store, mapped to write and to read', 'store', {}],
  ['stacks of workers', 'workerStacks', {}],
  ['stacks of threads', 'threadStacks', {}],
];

// In one run of fifty V8's threads, or the kernel's one for huge pages, take or give back some MB
// between two looks. An answer that is wrong is wrong each time.
describe.concurrent('what a program made has its cause', { retry: 2 }, () => {
  test('pages that V8 keeps after a gc, and some seconds later', async ({ expect }) => {
    const nodeFlags = ['--max-semi-space-size=1'];
    const answer = await programs.run('afterGc', { nodeFlags });
    const { before, last, lastTruth } = answer;
    // V8's threads give pages back between the kernel's count and the mappings.
    expectExplained(answer.after);
    expectGrowth(answer);
    expectGrowth({ before, after: last as Explanation, truth: lastTruth as Truth });
    expect(before.causes.find((row) => row.cause === 'v8-pooled')?.bytes).toBeLessThan(2 * mb);
  });

  test.each(cases)('%s', async (_, name, surroundings) => {
    const answer = await programs.run(name, surroundings);
    expectWhole(answer.before);
    expectWhole(answer.after);
    expectGrowth(answer);
    expectTrim(answer);
  });

  test('Buffers that nobody touched have none', async ({ expect }) => {
    const answer = await programs.run('buffersUntouched');
    expectWhole(answer.after);
    expect(Math.abs(answer.after.rssBytes - answer.before.rssBytes)).toBeLessThan(2 * mb);
    const { v8: then } = answer.before;
    const grown = (answer.after.v8?.arrayBuffersBytes ?? 0) - (then?.arrayBuffersBytes ?? 0);
    expect(grown).toBeGreaterThanOrEqual(4 * 64 * 2 ** 20);
  });

  test('huge pages are beside the causes', async ({ expect }) => {
    const env = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
    const answer = await programs.run('mallocHeld', { env });
    expectWhole(answer.after);
    expectGrowth(answer);
    // The kernel makes one of small pages, or small pages of one, whenever it likes.
    const beside = answer.after.beside.anonHugePagesBytes;
    expect(Math.abs(beside - answer.hugeBytes)).toBeLessThanOrEqual(2 * hugePageBytes);
    expect(beside).toBeGreaterThan(10 * hugePageBytes);
  });

  test('another malloc is named, and not walked', async ({ expect }) => {
    const { allocator, path } = programs.otherMalloc();
    const answer = await programs.run('mallocHeld', { env: { LD_PRELOAD: path } });
    expectWhole(answer.after);
    expectGrowth(answer);
    expect(answer.after.malloc).toMatchObject({
      allocator,
      arenas: null,
      trimBytes: null,
      reason: expect.stringContaining('not known'),
    });
    const residentBytes = answer.after.malloc?.own?.residentBytes ?? 0;
    expect(residentBytes > 0).toBe(allocator === 'jemalloc');
  });

  const withFixedThresholds = { env: { MALLOC_TRIM_THRESHOLD_: '131072' } };
  const grown = ({ after, before }: Answer): number => after.rssBytes - before.rssBytes;
  /** Returns the forecast for memory that came between two looks. */
  const foretold = ({ after, before }: Answer, bound: 'leastBytes' | 'mostBytes'): number => {
    const sumOf = ({ malloc }: Explanation): number =>
      (malloc?.arenas ?? []).reduce((sum, one) => sum + (one.fixedThresholds?.[bound] ?? NaN), 0);
    return sumOf(after) - sumOf(before);
  };

  test.each(['largeBlocksFreed', 'endsFreed'])(
    '%s: forecasts what fixed thresholds give back',
    async (name) => {
      const plain = await programs.run(name);
      const saved = grown(plain) - grown(await programs.run(name, withFixedThresholds));
      const least = foretold(plain, 'leastBytes');
      expect(saved).toBeGreaterThan(100 * mb);
      expect(Math.abs(least - saved), `${least}, and not ${saved}`).toBeLessThan(0.1 * saved);
      expect(adviceOf(plain.after).join()).toContain('With MALLOC_TRIM_THRESHOLD_=131072');
    },
  );

  test('bounds what fixed thresholds give back, without advice when bounds are wide', async () => {
    const name = 'largeBlocksFreedBetweenPins';
    const plain = await programs.run(name);
    const saved = grown(plain) - grown(await programs.run(name, withFixedThresholds));
    expect(foretold(plain, 'leastBytes')).toBeLessThan(saved);
    expect(foretold(plain, 'mostBytes') + 2 * mb).toBeGreaterThan(saved);
    expect(adviceOf(plain.after).join()).not.toContain('MALLOC_TRIM_THRESHOLD_');
  });
});
