/** The tracker's own memory has rows of its own, and lists of functions leave it out. */
import { describe, expect, test } from 'vitest';
import { functionTotals } from '../../src/analysis/functions.ts';
import { withoutInternals } from '../../src/analysis/internals.ts';
import { ownBytesOf, withOwnRow } from '../../src/analysis/own_rows.ts';
import { sumOfRows, tableRows } from '../../src/analysis/report_rows.ts';
import { frameOf, type GivenRow, reportOf } from '../made_reports.ts';

const main = frameOf('main');
const loader = frameOf('require', { file: 'node:internal/modules' });
const preload = frameOf('track', { file: '/app/node_modules/memdrift/dist/tracker/preload.cjs' });
const addon = frameOf('start', {
  file: '/app/node_modules/memdrift/build/Release/memdrift.node',
  native: true,
});

const given: readonly GivenRow[] = [
  { stack: [main], bytes: 100 },
  { stack: [loader, preload, addon], bytes: 30, count: 2 },
  { stack: [loader, preload], bytes: 20 },
  { stack: [loader, preload, loader], bytes: 7, kind: 'mmap' },
  { stack: [main, addon], bytes: 5 },
  { stack: [loader], bytes: 3 },
];

describe('withOwnRow', () => {
  const report = withOwnRow(reportOf(given));
  const rowsOf = (name: string) =>
    tableRows(report).filter(({ stack }) => stack.some((frame) => frame.function === name));

  test('returns one row per kind for stacks of the tracker’s scripts', () => {
    expect(rowsOf('(memdrift itself)')).toMatchObject([
      { bytes: 50, count: 3, kind: 'malloc', thread: '', stack: { length: 1 } },
      { bytes: 7, count: 1, kind: 'mmap', thread: '', stack: { length: 1 } },
    ]);
    expect(rowsOf('track')).toEqual([]);
    expect(ownBytesOf(report)).toBe(57);
    expect(sumOfRows(report)).toBe(165);
  });

  test('keeps memory that the program took by memdrift’s API under its functions', () => {
    expect(rowsOf('start')).toMatchObject([{ bytes: 5, stack: [{ function: 'start' }, main] }]);
  });

  test('keeps rows in order of bytes', () => {
    const bytes = Array.from(report.rows.bytes);
    expect(bytes).toEqual([100, 50, 7, 5, 3]);
  });

  test('lists no function for the tracker’s memory, with Node’s own or without', () => {
    for (const shown of [report, withoutInternals(report)]) {
      const names = functionTotals(shown).map(({ frame }) => frame.function);
      expect(names).toContain('main');
      expect(names).not.toContain('(memdrift itself)');
      expect(names).not.toContain('track');
      expect(ownBytesOf(shown)).toBe(57);
    }
  });

  test('moves changes over time with their rows', () => {
    const changes = Float64Array.of(0, 1, 30, 2, 0, 2, 20, 1, 1, 0, 100, 1);
    const moved = withOwnRow({ ...reportOf(given), changes });
    const ofRow = (row: number): number => {
      let bytes = 0;
      for (let i = 0; i < moved.changes.length; i += 4) {
        if (moved.changes[i + 1] === row) bytes += moved.changes[i + 2] as number;
      }
      return bytes;
    };
    expect([ofRow(0), ofRow(1)]).toEqual([100, 50]);
  });

  test('returns the report unchanged when it has no such rows', () => {
    const plain = reportOf([{ stack: [main], bytes: 1 }]);
    expect(withOwnRow(plain)).toBe(plain);
  });
});
