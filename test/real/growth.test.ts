/**
 * `stats` explains how RSS grew: its rows add up to the growth that the kernel counted, without a
 * large remainder, for programs on everyday packages.
 */
import { afterAll, expect, test } from 'vitest';
import { Bed, packagesFolder } from './harness.ts';

const bed = new Bed(process.execPath, packagesFolder(), {});
afterAll(() => bed.remove());

const mb = 1e6;
const programs = [
  ...['babel', 'crypto', 'duckdb', 'exceljs', 'fsread'],
  ...['level', 'pdfkit', 'sharp', 'ws', 'zlib'],
];

test.each(programs)('the rows of %s are within 5 % or 8 MB of RSS', async (program) => {
  const { end, stats } = await bed.statsOf(`growth/${program}.mjs`);
  expect(end).toMatchObject({ code: 0, signal: null });
  const { fromBytes, toBytes, parts, restBytes } = stats.rssGrowth ?? expect.fail('no growth');
  const grown = toBytes - fromBytes;
  expect(grown).toBeGreaterThan(20 * mb);
  expect(parts.reduce((sum, { bytes }) => sum + bytes, restBytes)).toBe(grown);
  expect(Math.abs(restBytes)).toBeLessThan(Math.max(0.05 * grown, 8 * mb));
});
