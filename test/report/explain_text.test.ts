/** What `memdrift explain` prints. */
import { describe, expect, test } from 'vitest';
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
