import { describe, expect, test } from 'vitest';
import type { Sample } from '../../src/proc/sampler.ts';
import { RssBetween } from '../../src/watch/rss_between.ts';
import type { ProcessRow } from '../../src/watch/watch_model.ts';
import { megabyte, row } from './made_samples.ts';

type Facts = Pick<Sample, 'hugeBytes' | 'pagesPerFault'>;
const facts: Facts = { hugeBytes: 0, pagesPerFault: 16 };

const one = (rss: number, mark: number, faults = 0): ProcessRow =>
  row(1, 0, {
    rssBytes: rss * megabyte,
    peakRssBytes: mark * megabyte,
    faultBytes: faults * 4096,
  });

/** The sum at the last of several looks, in MB. */
function last(looks: readonly (readonly ProcessRow[])[], now: Facts = facts): number[] {
  const sums = new RssBetween();
  for (const rows of looks.slice(0, -1)) sums.sum(rows, facts);
  const { low, high } = sums.sum(looks.at(-1) as ProcessRow[], now);
  return [low / megabyte, high / megabyte];
}

describe('RssBetween', () => {
  test('returns the exact sum at rest', () => {
    expect(last([[one(10, 90)], [one(10, 90)]])).toEqual([10, 10]);
  });

  test('includes a high-water mark in the value when it rose since the look before', () => {
    expect(last([[one(10, 10)], [one(10, 90)]])).toEqual([90, 90]);
  });

  test('leaves out a mark that may be older than the watch', () => {
    expect(last([[one(10, 90)]])).toEqual([10, 10]);
  });

  test('includes the mark of a process that began since the look before', () => {
    expect(last([[], [one(10, 90)]])).toEqual([90, 90]);
  });

  test('bounds a return to an old mark by the faults', () => {
    const fault = (16 * 4096) / megabyte;
    expect(last([[one(10, 90)], [one(10, 90, 100)]])).toEqual([10, 10 + 100 * fault]);
    expect(last([[one(10, 90)], [one(10, 90, 1e6)]])).toEqual([10, 90]);
  });

  test('bounds a return to an old mark by new huge pages', () => {
    const huge = { ...facts, hugeBytes: 30 * megabyte };
    expect(last([[one(10, 90)], [one(10, 90)]], huge)).toEqual([10, 40]);
    expect(last([[one(10, 90)], [one(10, 90)]], { ...facts, hugeBytes: null })).toEqual([10, 90]);
  });

  test('includes the old mark in the high bound when faults are unknown', () => {
    const unknown = { ...one(10, 90), faultBytes: null };
    expect(last([[unknown], [unknown]])).toEqual([10, 90]);
  });
});
