/** A capture's rows on a page: fewer stacks, the same sums. Compared with what is done by hand. */
import { describe, expect, test } from 'vitest';
import { type CaptureReport, numbersPerChange } from '../../src/capture/capture_model.ts';
import { pageData } from '../../src/report/page_data.ts';
import type { PageData } from '../../src/report/page_model.ts';
import { randomReport, reportOf } from '../made_reports.ts';

const options = {
  title: 'x',
  moment: 'peak',
  leftOut: '',
  splitThreads: true,
  isInverted: false,
} as const;
const seeds = Array.from({ length: 25 }, (_, i) => i + 1);

/** Of the innermost function outwards, by number in the report. */
function stackOf({ stacks }: CaptureReport, node: number): number[] {
  return node === 0
    ? []
    : [stacks.frame[node]!, ...stackOf({ stacks } as CaptureReport, stacks.parent[node]!)];
}

/** Stacks as text, outermost function first. */
function pathOnPage({ nodes, frames }: PageData, node: number): string {
  if (node === 0) return '';
  const above = pathOnPage({ nodes, frames } as PageData, node - nodes.up[node]!);
  return `${above}/${frames.name[nodes.frame[node]!]}`;
}

function pathsOf(report: CaptureReport): string[] {
  return Array.from(report.stacks.parent, (_, node) =>
    stackOf(report, node)
      .reverse()
      .map((frame) => `/${report.frames[frame]!.function}`)
      .join(''),
  );
}

/** The paths that the largest stacks need, by the definition: `most` stacks and their callers. */
function keptPaths(report: CaptureReport, most: number): Set<string> {
  const kept = new Set(['']);
  const paths = pathsOf(report);
  let stacks = 0;
  for (const node of report.rows.node) {
    let path = paths[node]!;
    if (stacks === most) break;
    if (!kept.has(path)) stacks++;
    for (; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) kept.add(path);
  }
  return kept;
}

interface Sum {
  bytes: number;
  count: number | null;
}

/** What each stack, kind and thread has when stacks end at their innermost kept caller. */
function expectedRows(report: CaptureReport, most: number, splitThreads: boolean) {
  const kept = keptPaths(report, most);
  const paths = pathsOf(report);
  const sums = new Map<string, Sum>();
  const keys = Array.from(report.rows.node, (node, row) => {
    let path = paths[node]!;
    while (!kept.has(path)) path = path.slice(0, path.lastIndexOf('/'));
    const thread = splitThreads ? report.threads[report.rows.thread[row]!] : '';
    const key = `${path} ${report.kinds[report.rows.kind[row]!]} ${thread}`;
    const count = report.rows.count[row]!;
    const sum = sums.get(key) ?? { bytes: 0, count: Number.isNaN(count) ? null : 0 };
    sum.bytes += report.rows.bytes[row]!;
    if (sum.count !== null) sum.count += count;
    sums.set(key, sum);
    return key;
  });
  const merged = new Set<string>();
  let mergedBytes = 0;
  report.rows.node.forEach((node, row) => {
    if (kept.has(paths[node]!)) return;
    merged.add(paths[node]!);
    mergedBytes += report.rows.bytes[row]!;
  });
  return { sums, keys, merged: { stacks: merged.size, bytes: mergedBytes } };
}

function keysOf(data: PageData): string[] {
  return data.rows.node.map(
    (node, row) =>
      `${pathOnPage(data, node)} ${data.kinds[data.rows.kind[row]!]} ` +
      `${data.threads[data.rows.thread[row]!]}`,
  );
}

describe.each([0, 1, 5, 20, 1000])('with %i stacks of their own', (mostStacks) => {
  test.each([true, false])('rows are those made by hand; threads apart: %s', (splitThreads) => {
    for (const seed of seeds) {
      const report = randomReport({ seed });
      const data = pageData(report, { ...options, splitThreads, mostStacks });
      const expected = expectedRows(report, mostStacks, splitThreads);
      const { bytes, count } = data.rows;
      const found = keysOf(data).map((key, i) => [key, { bytes: bytes[i], count: count[i] }]);
      expect(new Set(found.map(([key]) => key)).size).toBe(found.length);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected.sums));
      expect(data.merged).toEqual(expected.merged);
    }
  });

  test('changes are those of the merged rows, once per moment and in order', () => {
    for (const seed of seeds) {
      const report = randomReport({ seed });
      const data = pageData(report, { ...options, mostStacks });
      const { keys } = expectedRows(report, mostStacks, true);
      const expected = new Map<string, [number, number]>();
      for (let i = 0; i < report.changes.length; i += numbersPerChange) {
        const [moment, row, bytes, count] = report.changes.subarray(i, i + numbersPerChange);
        const key = `${moment} ${keys[row!]}`;
        const [bytesBefore, countBefore] = expected.get(key) ?? [0, 0];
        expected.set(key, [bytesBefore + bytes!, countBefore + count!]);
      }
      const onPage = keysOf(data);
      const found: [string, number[]][] = [];
      for (let i = 0; i < data.changes.length; i += numbersPerChange) {
        const [moment, row, ...sums] = data.changes.slice(i, i + numbersPerChange);
        found.push([`${moment} ${onPage[row!]}`, sums]);
      }
      expect(found.length).toBe(expected.size);
      expect(new Map(found)).toEqual(expected);
      const moments = data.changes.filter((_, i) => i % numbersPerChange === 0);
      expect(moments).toEqual(moments.toSorted((a, b) => a - b));
    }
  });
});

test('the sum of each kind is what it was, whatever is merged', () => {
  for (const seed of seeds) {
    const report = randomReport({ seed, rows: 300 });
    const data = pageData(report, { ...options, splitThreads: false, mostStacks: 7 });
    const sums = (kinds: ArrayLike<number>, bytes: ArrayLike<number>): number[] => {
      const all = report.kinds.map(() => 0);
      for (let i = 0; i < kinds.length; i++) all[kinds[i]!]! += bytes[i]!;
      return all;
    };
    expect(sums(data.rows.kind, data.rows.bytes)).toEqual(
      sums(report.rows.kind, report.rows.bytes),
    );
  }
});

test('a page has the functions that its stacks have, and no others', () => {
  const report = randomReport({ seed: 3 });
  const { frames, nodes } = pageData(report, { ...options, mostStacks: 2 });
  expect(new Set(nodes.frame.slice(1)).size).toBe(frames.name.length);
  expect(frames.name.length).toBeLessThan(report.frames.length);
});

describe("the peak's mark", () => {
  const made = reportOf([]);
  const stats = { ...made.stats, peakBytes: 900, peakAtMs: 14 };

  test('stands where the line of live memory is highest, at its first such look', () => {
    const timeMs = Float64Array.of(0, 10, 20, 30, 40);
    const tracked = Float64Array.of(100, 300, 800, 800, 200);
    const series = { ...made.series, timeMs, tracked };
    expect(pageData({ ...made, stats, series }, options).peak).toEqual({ bytes: 900, atMs: 20 });
  });

  test('stands at the time of the peak when the capture has no looks', () => {
    expect(pageData({ ...made, stats }, options).peak).toEqual({ bytes: 900, atMs: 14 });
  });
});
