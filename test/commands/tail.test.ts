/** `--tail` as a user calls it: what lives at the end, without what was allocated last. */
import { afterAll, expect, test } from 'vitest';
import type { FunctionTotal } from '../../src/analysis/functions.ts';
import { openCapture } from '../../src/capture/open_capture.ts';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

/** `early()` is within the first 60 % of the time, and `late()` within the last 40 %. */
const capture = captured.record(
  'tail',
  `function early() { return Buffer.alloc(7_000_001, 1); }
   function late() { return Buffer.alloc(5_000_003, 1); }
   globalThis.kept = [early()];
   setTimeout(() => kept.push(late()), 3000);`,
);
const args = [capture, '--leaks', '--kind', 'buffer'];

function bytesOf(functions: readonly FunctionTotal[], name: string): number {
  return functions.find(({ frame }) => frame.function === name)?.totalBytes ?? 0;
}

test('leaves out what was allocated last, and says how much', () => {
  const all = captured.json('summary', ...args);
  expect(bytesOf(all.functions, 'early')).toBe(7_000_001);
  expect(bytesOf(all.functions, 'late')).toBe(5_000_003);
  expect(all.leftOutBytes).toBe(0);
  const older = captured.json('summary', ...args, '--tail', '40%');
  expect(bytesOf(older.functions, 'early')).toBe(7_000_001);
  expect(bytesOf(older.functions, 'late')).toBe(0);
  expect(older.leftOutBytes).toBeGreaterThanOrEqual(5_000_003);
  const { stdout } = captured.call('table', ...args, '--tail', '40');
  expect(stdout).toMatch(
    / live at the end, without [5-9]\.\d\d MB of all kinds allocated in the last 40 %\n/,
  );
});

test('all rows and what is left out add up to what lives at the end', async () => {
  const { totalBytes, leftOutBytes, stats } = await openCapture(capture).leaks({ tailPercent: 40 });
  expect(totalBytes + leftOutBytes).toBe(stats.leakedBytes);
});

test.each([
  [['--leaks', '--tail', '0'], 'It takes a percentage from 1% to 99%'],
  [['--leaks', '--tail', '100%'], 'It takes a percentage from 1% to 99%'],
  [['--tail', '10%'], '--tail is a part of --leaks: give both'],
])('refuses %j', (flags, message) => {
  const { status, stderr } = captured.call('table', capture, ...flags);
  expect(status).not.toBe(0);
  expect(stderr).toContain(message);
});
