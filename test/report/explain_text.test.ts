/** What `memdrift explain` prints. */
import { describe, expect, test } from 'vitest';
import { adviceOf } from '../../src/report/explain_advice.ts';
import { explainText } from '../../src/report/explain_text.ts';
import { arenaOf, explanationOf, mallocOf } from '../drift/made_explanation.ts';

const linesOf = (text: string): readonly string[] => text.split('\n');

describe('the table of causes', () => {
  const explanation = explanationOf(
    { 'malloc-freed': 75e6, 'v8-heap': 20e6, 'v8-pooled': null },
    { unexplainedBytes: 5e6 },
  );
  const lines = linesOf(explainText(explanation));

  test('has the largest first, what is elsewhere without a figure, and the sum last', () => {
    const names = lines.map((line) => line.split(' ')[0]);
    const order = ['malloc-freed', 'v8-heap', 'unexplained', 'v8-pooled', 'sum'];
    expect(names.filter((name) => order.includes(name ?? ''))).toEqual(order);
    expect(lines.find((line) => line.startsWith('v8-pooled'))).toMatch(/^v8-pooled +- +- +exact/);
    expect(lines.find((line) => line.startsWith('sum'))).toMatch(/^sum +100\.00 +100\.0/);
  });

  test('has what is unexplained where its size is, also when that is the most', () => {
    const text = explainText(explanationOf({ 'v8-heap': 5e6 }, { unexplainedBytes: 50e6 }));
    expect(text.indexOf('\nunexplained')).toBeLessThan(text.indexOf('\nv8-heap'));
  });

  test('has no row for a cause that has nothing', () => {
    expect(lines.some((line) => line.startsWith('thread-stacks'))).toBe(false);
  });
});

test('arenas are there by size, and the small ones as a sum', () => {
  const small = Array.from({ length: 12 }, () => arenaOf({ residentBytes: 1e6, freedBytes: 1e6 }));
  const main = arenaOf({ isMain: true, residentBytes: 9e6, inUseBytes: 9e6 });
  const text = explainText(explanationOf({}, { malloc: mallocOf([...small, main]) }));
  expect(text).toMatch(/^main +9\.00 +9\.00 +0\.00/m);
  expect(text).toMatch(/^3 more +3\.00 +0\.00 +0\.00 +3\.00/m);
  expect(text).toContain('2 blocks that are mappings of their own, 5.00 MB resident');
});

test('text of the process cannot control the terminal', () => {
  const text = explainText(explanationOf({}, { name: 'a\u001b[2Jb\nc' }));
  expect(text).toContain('(a?[2Jb?c)');
});

describe('advice', () => {
  const freed = { 'malloc-freed': 900e6, 'file-code': 50e6 };

  test('freed memory in the main arena: a trim, and by how much; not fewer arenas', () => {
    const malloc = mallocOf([arenaOf({ isMain: true, freedBytes: 900e6, trimBytes: 880e6 })]);
    const [text] = adviceOf(explanationOf(freed, { malloc }));
    expect(text).toContain('malloc_trim(0) would give back 880.00 MB');
    expect(text).toContain('MALLOC_ARENA_MAX does not change');
  });

  test('freed memory in many arenas: fewer of them', () => {
    const arenas = Array.from({ length: 9 }, () => arenaOf({ freedBytes: 100e6, trimBytes: 99e6 }));
    const [text] = adviceOf(explanationOf(freed, { malloc: mallocOf(arenas) }));
    expect(text).toContain('900.00 MB of it are in 9 arenas');
    expect(text).toContain('MALLOC_ARENA_MAX=2');
  });

  test('freed memory that a trim does not give back: another allocator', () => {
    const malloc = mallocOf([arenaOf({ isMain: true, freedBytes: 900e6, trimBytes: 1e6 })]);
    expect(adviceOf(explanationOf(freed, { malloc }))[0]).toContain('jemalloc');
  });

  test.each([
    ['v8-pooled', 'no leak'],
    ['v8-heap', 'heap snapshot'],
    ['array-buffers', 'memdrift attach 4711'],
    ['file-data', 'page cache'],
    ['thread-stacks', 'UV_THREADPOOL_SIZE'],
    ['shared-segment', 'memdrift ps'],
    ['malloc-in-use', 'memdrift attach 4711'],
  ] as const)('%s', (cause, words) => {
    const [text] = adviceOf(explanationOf({ [cause]: 500e6 }));
    expect(text).toContain('500.00 MB');
    expect(text).toContain(words);
  });

  test('native memory that V8 is told little of', () => {
    const v8 = { externalBytes: 3e6 } as never;
    expect(adviceOf(explanationOf({ 'malloc-in-use': 500e6 }, { v8 }))[0]).toContain(
      'external is 3.00 MB',
    );
  });

  test('mappings of native code, and huge pages', () => {
    const beside = { anonHugePagesBytes: 400e6, anonHugePages: [], swapBytes: 0 };
    const texts = adviceOf(explanationOf({}, { unexplainedBytes: 500e6, beside }));
    expect(texts[0]).toContain('neither by malloc nor by V8');
    expect(texts[1]).toContain('transparent_hugepage');
  });

  test('of a small process there is nothing to do', () => {
    expect(adviceOf(explanationOf({ 'file-code': 40e6, 'v8-heap': 5e6 }))).toEqual([
      expect.stringContaining('No cause stands out'),
    ]);
  });
});
