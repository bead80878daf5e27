/** What functions hold: against a count that walks every stack by itself. */
import { describe, expect, test } from 'vitest';
import { functionTotals } from '../../src/analysis/functions.ts';
import { frameOf, type GivenRow, randomOf, randomRows, reportOf } from '../made_reports.ts';

interface Sums {
  ownBytes: number;
  totalBytes: number;
  ownCount: number;
  totalCount: number;
}

function slowTotals(rows: readonly GivenRow[]): Map<string, Sums> {
  const sums = new Map<string, Sums>();
  for (const { stack, bytes, count = 1 } of rows) {
    const names = stack.map((frame) => `${frame.function} ${frame.file}`);
    for (const name of new Set(names)) {
      const sum = sums.get(name) ?? { ownBytes: 0, totalBytes: 0, ownCount: 0, totalCount: 0 };
      sums.set(name, sum);
      sum.totalBytes += bytes;
      sum.totalCount += count;
      if (name !== names.at(-1)) continue;
      sum.ownBytes += bytes;
      sum.ownCount += count;
    }
  }
  return sums;
}

describe('functionTotals', () => {
  test.each(Array.from({ length: 50 }, (_, seed) => seed))('random stacks, seed %i', (seed) => {
    const rows = randomRows(randomOf(seed));
    const fast = functionTotals(reportOf(rows)).map(({ frame, ...sums }) => {
      expect(frame).toMatchObject({ line: null, inlined: false });
      return [`${frame.function} ${frame.file}`, sums] as const;
    });
    const slow = [...slowTotals(rows)].filter(
      ([, sum]) => sum.totalBytes > 0 || sum.totalCount > 0,
    );
    expect(Object.fromEntries(fast)).toEqual(Object.fromEntries(slow));
    expect(fast).toHaveLength(slow.length);
    const sizes = fast.map(([, { totalBytes }]) => totalBytes);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  });

  test('objects whose number V8 does not tell have bytes and no count', () => {
    const stack = [frameOf('made')];
    const rows: GivenRow[] = [
      { stack, bytes: 70, count: Number.NaN, kind: 'jsheap' },
      { stack, bytes: 30, count: 2 },
    ];
    expect(functionTotals(reportOf(rows))).toMatchObject([{ ownBytes: 100, ownCount: 2 }]);
  });

  test('a function that called itself a million times takes no more than seconds', () => {
    const nodes = 1_000_000;
    const report = reportOf([{ stack: [frameOf('again')], bytes: 1 }]);
    const parent = Uint32Array.from({ length: nodes + 1 }, (_, i) => Math.max(i, 1) - 1);
    const ones = new Float64Array(nodes).fill(1);
    const rows = {
      ...report.rows,
      bytes: ones,
      count: ones,
      node: Uint32Array.from(ones, (_, row) => row + 1),
    };
    const stacks = { parent, frame: new Uint32Array(nodes + 1) };
    const start = performance.now();
    expect(functionTotals({ ...report, rows, stacks })).toMatchObject([
      { ownBytes: nodes, totalBytes: nodes, totalCount: nodes },
    ]);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
