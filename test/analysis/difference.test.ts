/** Differences: against sums that are made of stacks as texts. */
import { describe, expect, test } from 'vitest';
import { type Difference, diff } from '../../src/analysis/difference.ts';
import type { Frame } from '../../src/capture/capture_model.ts';
import { frameOf, type GivenRow, randomOf, randomRows, reportOf } from '../made_reports.ts';

/** Outermost first. */
function textOf(stack: readonly Frame[]): string {
  return stack.map(({ function: name, file, functionLine }) => name + file + functionLine).join();
}

function slowDiff(from: readonly GivenRow[], to: readonly GivenRow[]): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const [sign, rows] of [[-1, from] as const, [1, to] as const]) {
    for (const { stack, bytes, count = 1, kind = 'malloc' } of rows) {
      const key = `${kind} ${textOf(stack)}`;
      const [beforeBytes = 0, beforeCount = 0] = sums.get(key) ?? [];
      sums.set(key, [beforeBytes + sign * bytes, beforeCount + sign * count]);
    }
  }
  return new Map([...sums].filter(([, [bytes, count]]) => bytes !== 0 || count !== 0));
}

function asMap({ rows }: Difference): Map<string, number[]> {
  return new Map(
    rows.map((row) => [
      `${row.kind} ${textOf(row.stack.toReversed())}`,
      [row.bytes, row.count as number],
    ]),
  );
}

function bytesOf(rows: readonly { readonly bytes: number }[]): number {
  return rows.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('diff', () => {
  test.each(Array.from({ length: 50 }, (_, seed) => seed))('random reports, seed %i', (seed) => {
    const random = randomOf(seed);
    const [from, to] = [randomRows(random), randomRows(random, 30)];
    // What both have at the same size is no difference.
    to.push(...from.splice(0, 5).map((row) => ({ ...row })));
    from.push(...to.slice(-5));
    const difference = diff(reportOf(from), reportOf(to));
    expect(asMap(difference)).toEqual(slowDiff(from, to));
    expect(difference.rows).toHaveLength(slowDiff(from, to).size);
    expect([difference.fromBytes, difference.toBytes]).toEqual([bytesOf(from), bytesOf(to)]);
    expect(bytesOf(difference.rows)).toBe(bytesOf(to) - bytesOf(from));
    const sizes = difference.rows.map(({ bytes }) => bytes);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    for (const row of difference.rows) expect(row.toBytes - row.fromBytes).toBe(row.bytes);
    expect(diff(reportOf(from), reportOf(from)).rows).toEqual([]);
  });

  test('a function is the same at other lines and columns, and another at another place', () => {
    const rowsOf = (more: Partial<Frame>, bytes: number): GivenRow[] => [
      { stack: [frameOf('f', more)], bytes },
    ];
    const from = reportOf(rowsOf({ line: 3 }, 10));
    const change = (more: Partial<Frame>) =>
      diff(from, reportOf(rowsOf(more, 14))).rows.map(({ bytes }) => bytes);
    expect(change({ line: 5, column: 9 })).toEqual([4]);
    expect(change({ functionLine: 2 })).toEqual([14, -10]);
    expect(change({ file: '/other.js' })).toEqual([14, -10]);
  });

  test('objects without a count differ by their bytes', () => {
    const rowsOf = (bytes: number): GivenRow[] => [
      { stack: [frameOf('f')], bytes, count: Number.NaN, kind: 'jsheap' },
    ];
    const [row] = diff(reportOf(rowsOf(5)), reportOf(rowsOf(8))).rows;
    expect(row).toMatchObject({ bytes: 3, count: null, kind: 'jsheap' });
    expect(diff(reportOf(rowsOf(5)), reportOf(rowsOf(5))).rows).toEqual([]);
  });
});
