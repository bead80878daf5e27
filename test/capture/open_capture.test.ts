/** A capture as an object, as programs ask it. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  diff,
  functionTotals,
  openCapture,
  readCaptureReport,
  reportAt,
  tableRows,
} from '../../src/index.ts';

const golden = openCapture(
  fileURLToPath(new URL('../fixtures/formats/version1.mdc', import.meta.url)),
);

describe('an open capture', () => {
  test('tells its totals', async () => {
    const stats = await golden.stats();
    expect(stats).toMatchObject({ role: 'golden', allocations: 102 });
    expect(stats.sizes.reduce((sum, { count }) => sum + count, 0)).toBe(102);
    expect(stats.allocators.map(({ name }) => name)).toContain('malloc');
    expect(stats.allocators.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(stats.totalBytes);
  });

  test('has the peak, what is left at the end, and what was temporary', async () => {
    const { peakBytes, leakedBytes } = await golden.stats();
    const [peak, leaks] = [await golden.peak(), await golden.leaks()];
    expect([peak.totalBytes, leaks.totalBytes]).toEqual([peakBytes, leakedBytes]);
    expect(tableRows(leaks, 1)).toMatchObject([{ bytes: 12_288, kind: 'mmap' }]);
    expect(functionTotals(leaks).map(({ frame }) => frame.function)).toContain('inner');
    // Every fourth of 100 blocks of 100 to 199 bytes, and one of 5 whose free was taken back.
    expect((await golden.temporary()).totalBytes).toBe(3_700);
  });

  test('has a timeline, whose last moment is the end', async () => {
    const timeline = await golden.timeline(10);
    const last = timeline.moments.length - 1;
    const heap = await golden.leaks();
    expect(reportAt(timeline, last).totalBytes).toBe(heap.totalBytes);
    expect(reportAt(timeline, -1).totalBytes).toBe(0);
  });

  test('can be compared, with others and with itself', async () => {
    const [peak, leaks] = [await golden.peak(), await golden.leaks()];
    const { rows, fromBytes, toBytes } = diff(peak, leaks);
    expect(rows.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(toBytes - fromBytes);
    expect(diff(leaks, await golden.leaks()).rows).toEqual([]);
  });
});

describe('what is refused', () => {
  test.each([[''], [5], [undefined]])('%j is no path', (path) => {
    expect(() => openCapture(path as string)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID' }),
    );
  });

  test.each([0, 1.5, Number.NaN, '3'])('%j is no number from 1', async (value) => {
    const number = value as number;
    const invalid = { code: 'ERR_INVALID' };
    await expect(golden.temporary(number)).rejects.toMatchObject(invalid);
    await expect(golden.timeline(number)).rejects.toMatchObject(invalid);
  });

  test.each([
    { intervals: -1 },
    { intervals: 2 ** 33 },
    { intervals: Number.NaN },
    { temporaryThreshold: 0 },
    { temporaryThreshold: 2.5 },
    { moment: 'start' as 'end' },
  ])('a report of %j', async (options) => {
    const report = readCaptureReport(golden.path, options);
    await expect(report).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });

  test('a file that is not there, when it is asked', async () => {
    const gone = openCapture('/no/such/file.mdc');
    for (const question of ['stats', 'peak', 'leaks', 'temporary', 'timeline'] as const) {
      await expect(gone[question]()).rejects.toMatchObject({ code: 'ERR_GONE' });
    }
  });
});
