/** Histograms of sizes: ten bins, and nothing lost. */
import { describe, expect, test } from 'vitest';
import { binCount, sizeBins } from '../../src/analysis/size_bins.ts';
import { randomOf } from '../made_reports.ts';

/** Of blocks of these sizes, as the native pass counts them. */
function classesOf(sizes: readonly number[]): Float64Array {
  const classes = new Float64Array(65 * 2);
  for (const size of sizes) {
    const at = size === 0 ? 0 : Math.floor(Math.log2(size)) + 1;
    classes[at * 2] = (classes[at * 2] as number) + 1;
    classes[at * 2 + 1] = (classes[at * 2 + 1] as number) + size;
  }
  return classes;
}

function countedIn(sizes: readonly number[]) {
  return sizeBins(classesOf(sizes)).map((bin) => {
    const inside = sizes.filter((size) => size >= bin.fromBytes && size < bin.belowBytes);
    expect(bin.count).toBe(inside.length);
    expect(bin.bytes).toBe(inside.reduce((sum, size) => sum + size, 0));
    return bin;
  });
}

describe('sizeBins', () => {
  test.each(Array.from({ length: 50 }, (_, seed) => seed))('random sizes, seed %i', (seed) => {
    const random = randomOf(seed);
    const sizes = Array.from({ length: 200 }, () => 2 ** random(seed + 1) + random(3) - 1);
    const bins = countedIn(sizes);
    expect(bins).toHaveLength(binCount);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(sizes.length);
    for (const [i, bin] of bins.entries()) {
      if (i > 0) expect(bin.fromBytes).toBe(bins[i - 1]?.belowBytes);
      expect(bin.belowBytes).toBeGreaterThan(bin.fromBytes);
    }
  });

  test.each([[[5]], [[0]], [[0, 1]], [[2 ** 63, 2 ** 63 + 2 ** 20]], [[0, 2 ** 63]]])(
    '%j',
    (sizes) => {
      const bins = countedIn(sizes);
      expect(bins).toHaveLength(binCount);
      expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(sizes.length);
    },
  );

  test('of nothing there is none', () => expect(sizeBins(classesOf([]))).toEqual([]));
});
