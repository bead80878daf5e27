/**
 * Compares the bytes of mappings with the resident bytes that the kernel reports in the program.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { readCaptureStats, readCaptureTable } from '../../src/capture/capture.ts';
import { fixture, GroundTruth, heldUnder, type Run } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

const mb = 1 << 20;
const names = [
  'by_reserving',
  'by_cutting',
  'by_giving_back',
  'by_growing',
  'by_refusing',
  'by_leaving',
] as const;

const captureOf = ({ captures }: Run): string => captures[0] as string;

describe.each([
  ['ends', {}],
  ['is killed', { KILL: '1' }],
])('a program that maps much, touches little and %s', async (_, env) => {
  const run = await truth.run(fixture('reserved.cjs'), { env });
  const resident = JSON.parse(run.stdout) as Record<string, number>;
  const table = await readCaptureTable(captureOf(run), { leaks: true });
  const stats = await readCaptureStats(captureOf(run));

  test.each(names)('returns the resident bytes %s', (name) => {
    expect(resident[name]).toBeGreaterThan(mb);
    expect(heldUnder(table, name).mmap).toBe(resident[name]);
  });

  test('bounds a peak between two looks', () => {
    const [low, high] = stats.peakRangeBytes;
    const held = Object.values(resident).reduce((sum, bytes) => sum + bytes, 0);
    expect(low).toBeLessThanOrEqual(stats.peakBytes);
    expect(stats.peakBytes).toBeGreaterThanOrEqual(held);
    expect(high).toBeGreaterThanOrEqual(held + 150 * mb);
    // The bound does not count the whole reservation as touched.
    expect(high).toBeLessThan(600 * mb);
  });

  test('returns all usable bytes when committed bytes are requested', async () => {
    const committed = await readCaptureTable(captureOf(run), { leaks: true, committed: true });
    expect(heldUnder(committed, 'by_reserving').mmap).toBe(1024 * mb);
    const { peakBytes, peakRangeBytes } = await readCaptureStats(captureOf(run), {
      committed: true,
    });
    expect(peakBytes).toBeGreaterThan(1024 * mb);
    expect(peakRangeBytes).toEqual([peakBytes, peakBytes]);
  });
});
