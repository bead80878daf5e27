/** Logs of a watch, whole, cut and full of things that nobody wrote. */
import { describe, expect, test } from 'vitest';
import { headerProblem } from '../../src/report/watch_log.ts';
import {
  beginOf,
  headerOf,
  knownLines,
  knownLog,
  logOf,
  rowFields,
  sampleOf,
  totalFields,
} from './made_log.ts';

describe('a log', () => {
  test('has every sample of the group, and what processes had when they changed', () => {
    const log = knownLog();
    expect(log.totals.timeMs).toEqual([0, 200, 300]);
    expect(log.totals.columns.get('rssBytes')).toEqual([100e6, 600e6, 400e6]);
    expect(log.totals.columns.get('cgroupBytes')).toEqual([null, null, null]);
    const [first, second] = log.processes;
    expect(first).toMatchObject({
      pid: 4712,
      name: 'python3',
      peakRssBytes: 400e6,
      endedAtMs: null,
    });
    expect(first?.looks).toMatchObject({ timeMs: [0, 200], pssBytes: [100e6, 200e6] });
    expect(second).toMatchObject({
      beganAtMs: 150,
      endedAtMs: 250,
      name: 'ren\u2028amed',
      parentPid: 1,
    });
    expect(log).toMatchObject({ passes: 1, endedEarly: [2, 5], badLines: 0, lastMs: 300 });
    expect(log.summary).not.toBeNull();
  });

  test('that is cut is read as far as it goes', () => {
    const log = logOf([...knownLines, '{"type":"sample","atMs":400,"ro']);
    expect(log).toMatchObject({ summary: null, badLines: 0, lastMs: 300 });
    expect(log.totals.timeMs).toHaveLength(3);
    expect(logOf([headerOf()])).toMatchObject({ processes: [], lastMs: 0 });
  });

  test('with its fields in another order, and with more of them, says the same', () => {
    const turn = <Value>(list: readonly Value[]): Value[] => [...list.toReversed(), 7 as Value];
    const lines = knownLines.map((line) => {
      const { rows, totals } = line as { rows?: unknown[][]; totals?: unknown[] };
      return rows && totals ? { ...line, rows: rows.map(turn), totals: turn(totals) } : line;
    });
    const fields = { rowFields: turn(rowFields), totalFields: turn(totalFields) };
    const log = logOf([headerOf(fields), ...lines.slice(1)]);
    expect(log.processes).toEqual(knownLog().processes);
    expect(log.totals.columns.get('slurmNoShared')).toEqual([50e6, 300e6, 200e6]);
  });

  test('what is of no line or no value that it knows is left out', () => {
    const log = logOf([
      headerOf(),
      'null',
      '[1]',
      '7',
      { type: 'begin', id: 'x', pid: 1 },
      beginOf(1, 'a', { name: { toString: 'evil' }, parentPid: [] }),
      { type: 'weather', atMs: 3 },
      { type: 'end', atMs: 4, id: 99 },
      { type: 'change', id: 99, name: 'b' },
      { type: 'sample', atMs: 'now', rows: 5, totals: 'many' },
      { type: 'sample', atMs: 5, rows: [[99, 1], 7, null, [1, '2', null, {}]], totals: [-1, 'x'] },
    ]);
    expect(log.badLines).toBe(3);
    expect(log.processes).toMatchObject([{ name: '?', parentPid: 0, peakRssBytes: null }]);
    expect(log.totals.columns.get('rssBytes')).toEqual([-1]);
    expect(log.totals.columns.get('pssBytes')).toEqual([null]);
  });

  test('many looks of a process are thinned out, and the highest stays', () => {
    const looks = Array.from({ length: 10_000 }, (_, i) =>
      sampleOf(i, { 1: [i === 7777 ? 999 : i % 50, 1] }, []),
    );
    const [process] = logOf([headerOf(), beginOf(1, 'busy'), ...looks]).processes;
    const { timeMs, rssBytes } = process!.looks;
    expect(timeMs.length).toBeLessThan(1200);
    expect([timeMs[0], timeMs.at(-1)]).toEqual([0, 9999]);
    expect(rssBytes[timeMs.indexOf(7777)]).toBe(999e6);
    expect(process?.peakRssBytes).toBe(999e6);
    expect(timeMs).toEqual(timeMs.toSorted((a, b) => a - b));
  });
});

describe('a first line', () => {
  test.each([
    ['', 'no watch log'],
    ['{"timeMs":1}', 'no watch log'],
    ['{"type":"header","kind":"other","schemaVersion":1}', 'no watch log'],
    ['{"type":"header","kind":"memdrift-watch","schemaVersion":2}', 'a newer version'],
    ['{"type":"header","kind":"memdrift-watch","schemaVersion":1}', null],
  ] as const)('%j is %j', (line, problem) => {
    expect(headerProblem(line)).toBe(problem);
  });
});
