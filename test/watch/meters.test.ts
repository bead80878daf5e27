import { describe, expect, test } from 'vitest';
import { PeakMeter, PhaseMeter } from '../../src/watch/meters.ts';

const exactly = (value: number) => ({ value, low: value, high: value });

describe('PeakMeter', () => {
  test('has the first highest value, and how high and low it can have been', () => {
    const meter = new PeakMeter(35);
    meter.add(0, exactly(10));
    meter.add(100, { value: 30, low: 20, high: 40 });
    meter.add(200, { value: 30, low: 25, high: 31 });
    expect(meter.result()).toEqual({
      peakBytes: 30,
      atMs: 100,
      rangeBytes: [25, 40],
      passedMs: { earliest: 100, latest: null },
    });
  });

  test('knows nothing without a value', () => {
    expect(new PeakMeter(null).result()).toMatchObject({ peakBytes: null, rangeBytes: null });
  });
});

describe('PhaseMeter', () => {
  const meterOf = (periodMs: number, limitBytes: number | null = null) =>
    new PhaseMeter({ periodMs, intervalMs: 100, limitBytes });

  function feed(meter: PhaseMeter, toMs: number, value: (atMs: number) => number): void {
    for (let atMs = 0; atMs <= toMs; atMs += 100) meter.add(atMs, exactly(value(atMs)));
  }

  test('whatever the phase, a plateau of two periods is seen', () => {
    const meter = meterOf(1000);
    feed(meter, 5000, (atMs) => (atMs >= 1500 && atMs < 3500 ? 70 : 10));
    expect(meter.result()).toMatchObject({ peakBytes: 70, atMs: 1500, rangeBytes: [70, 70] });
  });

  test('a peak that is shorter than a period is seen by some phases only', () => {
    const meter = meterOf(1000);
    feed(meter, 5000, (atMs) => (atMs >= 2000 && atMs < 2400 ? 70 : 10));
    expect(meter.result().rangeBytes).toEqual([10, 70]);
  });

  test('a run that is shorter than a period may not be seen at all', () => {
    const meter = meterOf(30_000);
    feed(meter, 5000, () => 70);
    expect(meter.result()).toMatchObject({ peakBytes: 70, rangeBytes: [0, 70] });
  });

  test('one look is met by some phases at most', () => {
    const meter = meterOf(1000, 50);
    meter.add(250, exactly(70));
    expect(meter.result()).toEqual({
      peakBytes: 70,
      atMs: 250,
      rangeBytes: [0, 70],
      passedMs: { earliest: 250, latest: null },
    });
  });

  test('every real phase lies in the range, whatever the course', () => {
    // A saw of no period that fits; the phases are asked at moments between our own.
    const course = (atMs: number): number => (atMs % 1370) + (atMs % 911);
    const meter = meterOf(1000);
    feed(meter, 20_000, course);
    const [low, high] = meter.result().rangeBytes as [number, number];
    for (let phase = 0; phase < 1000; phase += 100) {
      let peak = 0;
      for (let atMs = phase; atMs <= 20_000; atMs += 1000) peak = Math.max(peak, course(atMs));
      expect(peak).toBeGreaterThanOrEqual(low);
      expect(peak).toBeLessThanOrEqual(high);
    }
  });

  test('our own gaps make the range wider, not wrong', () => {
    const meter = meterOf(1000);
    meter.add(0, exactly(10));
    meter.add(100, exactly(20));
    meter.add(4000, exactly(90));
    expect(meter.result().rangeBytes).toEqual([20, 90]);
  });

  test('a limit is passed for certain when the last phase has met it', () => {
    const meter = meterOf(1000, 50);
    feed(meter, 5000, (atMs) => (atMs >= 2000 ? 70 : 10));
    const { earliest, latest } = meter.result().passedMs;
    expect(earliest).toBe(1900);
    expect(latest).toBeGreaterThan(2900);
    expect(latest).toBeLessThanOrEqual(3300);
    const short = meterOf(1000, 50);
    feed(short, 5000, (atMs) => (atMs >= 2000 && atMs < 2400 ? 70 : 10));
    expect(short.result().passedMs).toEqual({ earliest: 1900, latest: null });
  });
});
