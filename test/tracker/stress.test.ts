/** A program that does everything at once, tracked: nothing crashes, hangs or is named wrongly. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { readCaptureStats } from '../../src/capture/capture.ts';
import { fixture, GroundTruth } from '../ground_truth.ts';
import { makeLibraryOfManySymbols } from '../many_symbols.ts';

const truth = new GroundTruth();
// Others by hand: STRESS_LIBRARIES=libLLVM-15.so.1:libgtk-3.so.0.
process.env.STRESS_LIBRARIES ??= makeLibraryOfManySymbols(truth.folder);
afterAll(() => truth.remove());

const conditions: [string, readonly string[]][] = [
  ['as it is', []],
  ['with code and objects moved at every turn', ['--gc-interval=500', '--stress-compaction']],
];

test.each(conditions)('%s', { timeout: 120_000 }, async (_name, node) => {
  const run = await truth.run(fixture('stress.cjs'), { node, args: ['5000'] });
  expect(run.stderr).toMatch(/^memdrift: captures in .*\n$/);
  expect(run.code).toBe(0);
  const { rounds, workers } = JSON.parse(run.stdout) as { rounds: number; workers: number };
  expect(Math.min(rounds, workers)).toBeGreaterThan(3);
  const [capture = ''] = run.captures;
  expect(await readCaptureStats(capture)).toMatchObject({ damage: null, droppedRecords: 0 });
});

test.each(conditions)('started and stopped, %s', { timeout: 400_000 }, async (_name, flags) => {
  // Much longer by hand.
  const ms = process.env.MEMDRIFT_STRESS_MS ?? '5000';
  const loader = new URL('../../dist/binding.js', import.meta.url).href;
  const args = [...flags, fixture('restarted.cjs'), ms, loader, truth.folder];
  const options = { env: truth.environment, maxBuffer: 1 << 20 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  const sums = JSON.parse(stdout) as Record<string, number>;
  expect(sums).toMatchObject({ droppedRecords: 0, damaged: 0 });
  expect(sums.trackers).toBeGreaterThan(1);
  expect(sums.stacks_checked).toBeGreaterThan(100);
  expect((sums.stacks_wrong ?? 0) / (sums.stacks_checked ?? 0)).toBeLessThanOrEqual(0.001);
});
