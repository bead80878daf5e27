/** Rows of a report, one by one and fewer of them: against what is filtered by hand. */
import { describe, expect, test } from 'vitest';
import { reportAt } from '../../src/analysis/moments.ts';
import { largestRows, onlyKinds, stackAt, tableRows } from '../../src/analysis/report_rows.ts';
import {
  type AllocationKind,
  type CaptureReport,
  heapKinds,
  numbersPerChange,
} from '../../src/capture/capture_model.ts';
import { frameOf, type GivenRow, randomReport, reportOf } from '../made_reports.ts';

const seeds = Array.from({ length: 25 }, (_, i) => i + 1);

function bytesOf(rows: readonly { readonly bytes: number }[]): number {
  return rows.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What the rows of these kinds grew by, added up over all rows. */
function grownBytes({ changes, rows, kinds }: CaptureReport, of: readonly AllocationKind[]) {
  let bytes = 0;
  for (let i = 0; i < changes.length; i += numbersPerChange) {
    const kind = kinds[rows.kind[changes[i + 1] as number] as number] as AllocationKind;
    if (of.includes(kind)) bytes += changes[i + 2] as number;
  }
  return bytes;
}

describe('tableRows', () => {
  const rows: GivenRow[] = [
    { stack: [frameOf('outer'), frameOf('inner')], bytes: 9, count: 2 },
    { stack: [], bytes: 5, count: Number.NaN, kind: 'jsheap' },
    { stack: [frameOf('empty')], bytes: 0, count: 3 },
    { stack: [frameOf('gone')], bytes: 0, count: 0 },
  ];
  const report = reportOf(rows);

  test('are those that hold bytes or blocks of none, innermost function first', () => {
    const shown = tableRows(report).map(({ stack, thread, ...row }) => ({
      ...row,
      stack: stack.map((frame) => frame.function),
    }));
    expect(shown).toEqual([
      { bytes: 9, count: 2, kind: 'malloc', stack: ['inner', 'outer'] },
      { bytes: 5, count: null, kind: 'jsheap', stack: [] },
      { bytes: 0, count: 3, kind: 'malloc', stack: ['empty'] },
    ]);
    expect(tableRows(report, 1)).toEqual(tableRows(report).slice(0, 1));
    expect(stackAt(report, 0)).toEqual([]);
  });

  test.each([0, 1, 2, 3, 9])('the largest %i, and what is left beside them', (most) => {
    const { counted, beside } = largestRows(report, most);
    const shown = [...counted.rows, ...(beside?.rows ?? [])];
    expect(shown.length + counted.left + (beside?.left ?? 0)).toBe(3);
    for (const block of [counted, beside ?? counted])
      expect(bytesOf(block.rows) + block.leftBytes).toBe(block.totalBytes);
  });
});

describe('onlyKinds', () => {
  test.each(seeds)('random reports, seed %i', (seed) => {
    const report = randomReport({ seed });
    for (const kinds of [['malloc'], ['file', 'buffer'], ['shm', 'stack'], heapKinds] as const) {
      const of: readonly AllocationKind[] = kinds;
      const only = onlyKinds(report, of);
      const wanted = tableRows(report).filter(({ kind }) => of.includes(kind));
      expect(tableRows(only)).toEqual(wanted);
      const columns = Object.values(only.rows).map(({ length }) => length);
      expect(new Set(columns).size).toBe(1);
      expect(grownBytes(only, only.kinds)).toBe(grownBytes(report, of));
      expect(bytesOf(tableRows(reportAt(only, 9)))).toBe(grownBytes(report, of));
    }
  });

  test('the total is of the heap where any of it is asked for, else of what is', () => {
    const rows = (['malloc', 'file', 'shm', 'jsheap'] as const).map((kind, i) => ({
      stack: [frameOf('f')],
      bytes: 1000 >> i,
      kind,
    }));
    const totalOf = (...kinds: AllocationKind[]) => onlyKinds(reportOf(rows), kinds).totalBytes;
    expect(totalOf('malloc', 'file')).toBe(1000);
    expect(totalOf('malloc', 'jsheap')).toBe(1125);
    expect(totalOf('file', 'shm')).toBe(750);
    expect(totalOf('mmap')).toBe(0);
  });
});
