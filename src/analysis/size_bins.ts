/** A histogram of sizes in few bins, out of exact counts by powers of two. */
import type { SizeBin } from '../capture/capture_model.ts';

/** So many bins there are. */
export const binCount = 10;

/** Class 0 is of size 0, class n of sizes from 2^(n-1) on. */
const lastClass = 64;

/**
 * Bins on a scale of logarithms from the smallest size to the largest, whose bounds are powers of
 * two; nothing is rounded, so that they add up. Empty where there was no allocation.
 * @param classes count and bytes of each class.
 */
export function sizeBins(classes: Float64Array): readonly SizeBin[] {
  const countOf = (sizeClass: number): number => classes[sizeClass * 2] ?? 0;
  const used = Array.from({ length: lastClass + 1 }, (_, i) => i).filter((i) => countOf(i) > 0);
  if (used.length === 0) return [];
  const largest = Math.max(used.at(-1) as number, 1);
  // Nothing at all is no power of two: it is with the smallest.
  const smallest = Math.max(used[0] as number, 1);
  const span = Math.max(largest - smallest + 1, binCount);
  const first = Math.min(smallest, lastClass + 1 - span);
  return Array.from({ length: binCount }, (_, i) => {
    const from = first + Math.floor((i * span) / binCount);
    const to = first + Math.floor(((i + 1) * span) / binCount);
    const hasNothing = i === 0 && countOf(0) > 0;
    const bin = { fromBytes: hasNothing ? 0 : 2 ** (from - 1), belowBytes: 2 ** (to - 1) };
    let [count, bytes] = hasNothing ? [countOf(0), classes[1] as number] : [0, 0];
    for (let sizeClass = from; sizeClass < to; sizeClass++) {
      count += countOf(sizeClass);
      bytes += classes[sizeClass * 2 + 1] as number;
    }
    return { ...bin, count, bytes };
  });
}
