/** `memdrift stats` as a user calls it. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { functionAllocations } from '../../src/analysis/functions.ts';
import { tableRows } from '../../src/analysis/report_rows.ts';
import { readCaptureReport } from '../../src/capture/capture.ts';
import type { CaptureStats } from '../../src/capture/capture_model.ts';
import { Captured, cli, golden } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const capture = captured.record(
  'busy',
  `function often() { for (let i = 0; i < 3000; i++) Buffer.allocUnsafeSlow(20_000); }
   function once() { return Buffer.alloc(90_000_000); }
   often();
   globalThis.kept = once();`,
);

function sumOf(rows: readonly { count: number; bytes: number }[], name: 'count' | 'bytes'): number {
  return rows.reduce((sum, row) => sum + row[name], 0);
}

describe('stats', () => {
  test.each([
    ['a program', capture],
    ['the golden capture', golden],
  ])('of %s: sizes and allocators add up to the totals', (_, file) => {
    const stats: CaptureStats = captured.json('stats', file);
    expect(sumOf(stats.sizes, 'count')).toBe(stats.allocations);
    const blocks = stats.allocators.filter(({ mapping }) => !mapping);
    expect(sumOf(blocks, 'count')).toBe(stats.allocations);
    expect(sumOf(blocks, 'bytes')).toBe(sumOf(stats.sizes, 'bytes'));
    expect(sumOf(stats.allocators, 'bytes')).toBe(stats.totalBytes);
    expect(stats.sizes).toHaveLength(10);
  });

  test('largest functions are of the program, by what they ever allocated', () => {
    const { largest } = captured.json('stats', capture, '-n', '1');
    expect(largest.byBytes).toMatchObject([{ frame: { function: 'once' } }]);
    expect(largest.byBytes[0].bytes).toBeGreaterThanOrEqual(90_000_000);
    expect(largest.byCount).toMatchObject([{ frame: { function: 'often' } }]);
    expect(largest.byCount[0].count).toBeGreaterThanOrEqual(3000);
    expect(largest.byCount[0].bytes).toBeGreaterThanOrEqual(60_000_000);
  });

  test('as text', () => {
    const { stdout, status } = captured.call('stats', capture);
    expect(status).toBe(0);
    expect(stdout).toMatch(/\nblocks by size +count +MB\n/);
    expect(stdout).toMatch(/\n {2}calloc +[\d,]+ +\d+\.\d\d\n/);
    expect(stdout).toMatch(/\n {2}(mprotect|mmap), made usable +[\d,]+ +\d+\.\d\d\n/);
    expect(stdout).toMatch(/most often\n.*\n +[\d,]+ +6\d\.\d\d {2}often {2}/);
    expect(stdout).toMatch(/ █{30}\n/);
  });
});

test('adds up allocations of all threads in one function', async () => {
  const workers = captured.record(
    'workers',
    `const { Worker, isMainThread } = require('node:worker_threads');
     function inWorker() { for (let i = 0; i < 100; i++) Buffer.allocUnsafeSlow(30_000); }
     if (isMainThread) for (let i = 0; i < 4; i++) new Worker(__filename);
     else inWorker();`,
  );
  const { largest } = captured.json('stats', workers, '-n', '1');
  expect(largest.byBytes).toMatchObject([{ frame: { function: 'inWorker' } }]);
  const options = { moment: 'end', all: true } as const;
  const [apart, joined] = await Promise.all([
    readCaptureReport(workers, options),
    readCaptureReport(workers, { ...options, joinThreads: true }),
  ]);
  expect(apart.threads.length).toBeGreaterThan(4);
  expect(new Set(tableRows(joined).map(({ thread }) => thread))).toEqual(new Set(['']));
  const [all] = functionAllocations(apart);
  expect(all).toMatchObject({ frame: { function: 'inWorker' } });
  expect(largest.byBytes[0]).toMatchObject({ bytes: all?.bytes, count: all?.count });
  expect(joined.stats).toEqual(apart.stats);
});

test('what a terminal would obey is shown: in names of functions, and on command lines', () => {
  const odd = captured.record(
    'odd',
    `const of = { '\\x1b[31mred\\nline'() { return Buffer.alloc(30_000_000); } };
     globalThis.kept = Object.values(of)[0]();`,
    ['\x1b[2J\n'],
  );
  const [table, stats] = ['table', 'stats'].map((command) => captured.call(command, odd).stdout);
  expect(table).toMatch(/\n {4}[^\n]*\?\[31mred\?line {2}/);
  expect(stats).toMatch(/\ncommand .* \?\[2J\?\n/);
  expect(`${table}${stats}`).not.toContain('\x1b');
});

test('output that cannot be written is told once', () => {
  for (const args of [
    ['parse', capture],
    ['transform', 'csv', capture, '-o', '-'],
  ]) {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect([args[0], status, stderr.match(/cannot write the output/g)]).toEqual([
      args[0],
      1,
      ['cannot write the output'],
    ]);
  }
});
