import { describe, expect, test } from 'vitest';
import { LateSums } from '../../src/watch/late_sums.ts';
import type { Estimate } from '../../src/watch/meters.ts';
import { megabyte, row } from './made_samples.ts';

const estimate = (value: number, off = 0): Estimate => ({
  value,
  low: value - off,
  high: value + off,
});

function collector() {
  const got: [number, Estimate][] = [];
  const late = new LateSums<'sum'>((atMs, { sum }) => got.push([atMs, sum]));
  return { got, late };
}

/** One process with so many MB, whose smaps was read last at `passedAtMs`. */
const rows = (mb: number, passedAtMs: number | null) => [
  row(1, 0, { rssBytes: mb * megabyte, passedAtMs }),
];

describe('LateSums', () => {
  test('corrects values at rest to the next read, within their bounds', () => {
    const { got, late } = collector();
    late.add(0, rows(10, 0), { sum: estimate(10) });
    late.add(100, rows(110, 0), { sum: estimate(110, 50) });
    late.add(200, rows(110, 0), { sum: estimate(110, 30) });
    expect(got).toHaveLength(1);
    late.add(300, rows(110, 300), { sum: estimate(60) });
    expect(got).toEqual([
      [0, estimate(10)],
      [100, { value: 60, low: 60, high: 160 }],
      [200, { value: 80, low: 80, high: 140 }],
      [300, estimate(60)],
    ]);
  });

  test('corrects a value by half when it moved half of the way', () => {
    const { got, late } = collector();
    late.add(0, rows(10, 0), { sum: estimate(10) });
    late.add(100, rows(60, 0), { sum: estimate(60, 20) });
    late.add(200, rows(110, 0), { sum: estimate(110, 50) });
    late.add(300, rows(110, 300), { sum: estimate(100) });
    expect(got[1]).toEqual([100, { value: 55, low: 40, high: 80 }]);
  });

  test('without another read all is as it was estimated', () => {
    const { got, late } = collector();
    late.add(0, rows(10, 0), { sum: estimate(10) });
    late.add(100, rows(20, 0), { sum: estimate(20, 5) });
    late.flush();
    late.flush();
    expect(got).toEqual([
      [0, estimate(10)],
      [100, estimate(20, 5)],
    ]);
  });

  test('a read of a part of the group corrects nothing', () => {
    const { got, late } = collector();
    const one = row(1, 0, { rssBytes: 50 * megabyte, passedAtMs: 0 });
    const unread = row(2, 1, { rssBytes: 50 * megabyte, passedAtMs: null });
    late.add(0, [one, unread], { sum: estimate(10) });
    late.add(100, [{ ...one, passedAtMs: 100 }, unread], { sum: estimate(20) });
    expect(got).toEqual([]);
    late.add(
      200,
      [
        { ...one, passedAtMs: 150 },
        { ...unread, passedAtMs: 160 },
      ],
      {
        sum: estimate(30),
      },
    );
    expect(got.map(([atMs]) => atMs)).toEqual([0, 100, 200]);
  });

  test('does not wait for ever', () => {
    const { got, late } = collector();
    for (let i = 0; i <= 1300; i++) late.add(100 * i, rows(10, null), { sum: estimate(i) });
    expect(got.length).toBeGreaterThan(0);
    late.flush();
    expect(got).toHaveLength(1301);
  });
});
