/** Moments of a timeline by name, and what was held at them. */
import { describe, expect, test } from 'vitest';
import { momentNumber, reportAt, timeOf } from '../../src/analysis/moments.ts';
import { tableRows } from '../../src/analysis/report_rows.ts';
import type { CaptureReport, Moment } from '../../src/capture/capture_model.ts';
import { frameOf, reportOf } from '../made_reports.ts';

const moments: readonly Moment[] = [
  { timeMs: 0, label: null, isPeak: false },
  { timeMs: 900, label: 'turn', isPeak: false },
  { timeMs: 1500, label: null, isPeak: true },
  { timeMs: 2000, label: 'turn', isPeak: false },
  { timeMs: 2500, label: 'end', isPeak: false },
  { timeMs: 3000, label: null, isPeak: false },
];

describe('momentNumber', () => {
  test.each([
    ['turn', 'first', 1],
    ['turn', 'last', 3],
    // A mark comes before what a word means otherwise.
    ['end', 'last', 4],
    ['start', 'first', -1],
    ['peak', 'first', 2],
    ['0s', 'first', 0],
    ['1.3s', 'first', 2],
    ['1100ms', 'last', 1],
    ['1h', 'last', 5],
    ['turns', 'first', null],
    ['1.5', 'first', null],
  ] as const)('%s, %s', (text, which, expected) => {
    expect(momentNumber(moments, text, which)).toBe(expected);
  });

  test.each(['start', 'peak', 'end', '1s'])('a report without a timeline has no %s', (text) => {
    expect(momentNumber([], text, 'first')).toBeNull();
  });

  test('the end is the last where no mark has the name', () => {
    expect(momentNumber(moments.slice(0, 3), 'end', 'last')).toBe(2);
  });
});

test.each([
  ['1.5s', 1500],
  ['200ms', 200],
  ['2min', 120_000],
  ['s', null],
  ['-1s', null],
])('%s is %s ms', (text, expected) => expect(timeOf(text)).toBe(expected));

test('reportAt has the sum of all changes until then', () => {
  const rows = ['a', 'b'].map((name) => ({ stack: [frameOf(name)], bytes: 0 }));
  // Moment, row, bytes, count.
  const changes = Float64Array.of(0, 0, 10, 1, 1, 1, 5, 2, 2, 0, -10, -1, 2, 1, 1, 0);
  const report = { ...reportOf(rows), moments, changes };
  const held = (moment: number) => {
    const { rows, totalBytes } = reportAt(report, moment);
    return [...rows.bytes, ...rows.count, totalBytes];
  };
  expect(held(-1)).toEqual([0, 0, 0, 0, 0]);
  expect(held(0)).toEqual([10, 0, 1, 0, 10]);
  expect(held(1)).toEqual([10, 5, 1, 2, 15]);
  expect(held(5)).toEqual([6, 0, 2, 0, 6]);
});

test('rows of a moment are the largest first, whatever they held at the peak', () => {
  const rows = ['a', 'b', 'c'].map((name, i) => ({ stack: [frameOf(name)], bytes: 9 - i }));
  const changes = Float64Array.of(0, 0, 1, 1, 0, 1, 7, 1, 0, 2, 4, 1, 1, 0, 8, 1);
  const report = { ...reportOf(rows), moments, changes };
  const shown = (moment: number, from: CaptureReport) =>
    tableRows(reportAt(from, moment), 2).map(({ bytes, stack }) => [stack[0]?.function, bytes]);
  expect(shown(0, report)).toEqual([
    ['b', 7],
    ['c', 4],
  ]);
  // A moment of what was asked for a moment already.
  expect(shown(1, reportAt(report, 0))).toEqual([
    ['a', 9],
    ['b', 7],
  ]);
});
