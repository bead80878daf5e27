/** Pieces of lines: widths, bars, graphs. */
import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { bar, cut, historyColumns, sparkline } from '../../src/report/top_parts.ts';

const colors = pc.createColors(false);
const splitOf = (parts: readonly (number | null)[], rss?: number) => ({
  rssBytes: rss ?? parts.reduce<number>((sum, part) => sum + (part ?? 0), 0),
  rssAnonBytes: parts[0] ?? null,
  rssFileBytes: parts[1] ?? null,
  rssShmemBytes: parts[2] ?? null,
});

describe('cut', () => {
  test.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'ab…'],
    ['日本語', 6, '日本語'],
    ['日本語', 5, '日本…'],
    ['日本語', 1, '…'],
    ['e\u0301e\u0301e\u0301', 3, 'e\u0301e\u0301e\u0301'],
    ['abc', 0, ''],
  ])('%j to %i columns is %j', (text, columns, expected) => {
    expect(cut(text, columns)).toBe(expected);
  });
});

describe('a bar', () => {
  const drawn = (split: ReturnType<typeof splitOf>, mostBytes: number, columns = 10): string =>
    bar(split, { mostBytes, columns, colors });

  test('is as long as the whole, however its parts are rounded', () => {
    expect(drawn(splitOf([25, 25, 25]), 100)).toBe('███▒▒░░░  ');
    expect(drawn(splitOf([50, 0, 50]), 100)).toBe('█████░░░░░');
    expect(drawn(splitOf([1, 1, 1]), 1000)).toBe(' '.repeat(10));
  });

  test('shows what the kernel does not split as such', () => {
    expect(drawn(splitOf([null, null, null], 50), 100)).toBe('·····     ');
    expect(drawn(splitOf([20, 10, 10], 60), 100)).toBe('██▒░··    ');
  });

  test.each([
    [splitOf([0, 0, 0]), 0],
    [splitOf([900, 900, 900]), 100],
    [splitOf([null, null, null], 0), 100],
  ])('is never wider than its place', (split, mostBytes) => {
    expect(drawn(split, mostBytes)).toHaveLength(10);
  });
});

describe('a history', () => {
  const moments = (count: number, stepMs: number) =>
    Array.from({ length: count }, (_, i) => ({
      atMs: i * stepMs,
      rssBytes: i,
      footprintBytes: i % 2 === 0 ? i : null,
    }));

  test('has a column per look while they fit', () => {
    const { columnMs, rssBytes, footprintBytes } = historyColumns(moments(4, 500), 10);
    expect({ columnMs, rssBytes }).toEqual({ columnMs: 500, rssBytes: [0, 1, 2, 3] });
    expect(footprintBytes).toEqual([0, null, 2, null]);
  });

  test('then the most of each time that a column stands for, never more columns than fit', () => {
    const { columnMs, rssBytes } = historyColumns(moments(100, 500), 10);
    expect(columnMs).toBe(5000);
    expect(rssBytes).toEqual([9, 19, 29, 39, 49, 59, 69, 79, 89, 99]);
    expect(historyColumns(moments(50_000, 86_400_000), 7).rssBytes).toHaveLength(7);
  });

  test('as marks from nothing to the most, with gaps where nothing is known', () => {
    expect(sparkline([0, 50, null, 100], 100)).toBe('▁▄ █');
    expect(sparkline([5, null], 0)).toBe('  ');
    expect(historyColumns([], 5).rssBytes).toEqual([null]);
  });
});
