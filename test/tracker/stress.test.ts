/** A program that does everything at once, tracked: nothing crashes, hangs or is named wrongly. */
import { afterAll, expect, test } from 'vitest';
import { readCaptureStats } from '../../src/capture/capture.ts';
import { fixture, GroundTruth } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

test.each([
  ['as it is', []],
  ['with code and objects moved at every turn', ['--gc-interval=500', '--stress-compaction']],
])('%s', { timeout: 120_000 }, async (_name, node) => {
  const run = await truth.run(fixture('stress.cjs'), { node, args: ['5000'] });
  expect(run.stderr).toMatch(/^memdrift: captures in .*\n$/);
  expect(run.code).toBe(0);
  const { rounds, workers } = JSON.parse(run.stdout) as { rounds: number; workers: number };
  expect(Math.min(rounds, workers)).toBeGreaterThan(3);
  const [capture = ''] = run.captures;
  expect(await readCaptureStats(capture)).toMatchObject({ damage: null, droppedRecords: 0 });
});
