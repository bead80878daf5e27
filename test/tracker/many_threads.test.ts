/**
 * Checks that captures of thousands of threads are complete, and read in bounded time and memory.
 */
import { afterAll, expect, test } from 'vitest';
import { readCaptureStats, readCaptureTable } from '../../src/capture/capture.ts';
import { GroundTruth, heldUnder } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());
const env = { UNRULY: truth.addonOf('unruly.c') };
const prelude = 'const unruly = require(process.env.UNRULY);';

test.each([1000, 5000])('keeps the blocks of %i threads when they are killed', async (threads) => {
  const code = `${prelude} unruly.threadsThatHold(${threads}, 100, 1000);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1500);`;
  const { captures } = await truth.run('', { env, flags: ['-e', code] });
  const table = await readCaptureTable(captures[0] ?? '', { leaks: true });
  expect(table.stats).toMatchObject({ ending: 'killed', droppedRecords: 0, damage: null });
  expect(heldUnder(table, 'holdBlocks')).toMatchObject({ malloc: threads * 100 * 1000 });
  expect(new Set(table.rows.map(({ thread }) => thread)).size).toBeGreaterThan(threads);
});

test('reads 50,000 short threads within a second', { timeout: 120_000 }, async () => {
  const code = `${prelude} for (let i = 0; i < 1000; i++) unruly.threads(50);`;
  const run = await truth.run('', { env, flags: ['-e', code] });
  expect(run.code).toBe(0);
  const before = process.cpuUsage();
  const stats = await readCaptureStats(run.captures[0] ?? '');
  const { user, system } = process.cpuUsage(before);
  expect(stats).toMatchObject({ droppedRecords: 0, damage: null, ending: 'closed' });
  expect(stats.allocations).toBeGreaterThanOrEqual(50_000 * 100);
  expect((user + system) / 1e6).toBeLessThan(1);
});
