/** The figures of a watch in Prometheus's text. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { watchRegistry } from '../../src/metrics/watch_metrics.ts';
import { Views } from '../../src/watch/views.ts';
import type { WatchNow } from '../../src/watch/watch.ts';
import type { ProcessRow } from '../../src/watch/watch_model.ts';
import { megabyte, row, sample } from '../watch/made_samples.ts';

/** What `memdrift watch` has after samples of these; 99 is not of its group. */
function nowOf(...looks: readonly (readonly ProcessRow[])[]): WatchNow {
  const options = { intervalMs: 100, slurmFrequencyMs: 1000, limitBytes: null };
  const views = new Views({ roots: [10], outside: [99], proctrack: 'cgroup', ...options });
  looks.forEach((rows, i) => {
    views.add(sample(100 * i, rows));
  });
  const last = sample(100 * (looks.length - 1), looks.at(-1) ?? [], {
    endedEarly: { atLeast: 3, atMost: 9 },
  });
  return {
    sample: last,
    views: views.current!,
    startedAtMs: 1_700_000_000_000,
    isInGroup: (pid) => pid !== 99,
    peaks: () => views.peaks(),
  };
}

/** By name and labels, without those of the watch itself. */
async function seriesOf(
  now: WatchNow | null,
  limitBytes: number | null = null,
): Promise<Record<string, number>> {
  const text = await watchRegistry({ now: () => now, limitBytes, version: '1.2.3' }).metrics();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

const two = [
  row(10, 1, { name: 'server', rssBytes: 300 * megabyte, sharedBytes: 0 }),
  row(11, 10, { name: 'client', rssBytes: 50 * megabyte, rssShmemBytes: 20 * megabyte }),
  row(12, 10, { name: 'client', rssBytes: 30 * megabyte, pssBytes: null }),
  row(99, 1, { name: 'outside', rssBytes: 900 * megabyte }),
];

describe('figures', () => {
  test('of the group are a metric for each view, now and at its peak', async () => {
    const series = await seriesOf(nowOf(two, two.slice(0, 2)), 500 * megabyte);
    expect(series).toMatchObject({
      memdrift_group_sum_rss_bytes: 350e6,
      memdrift_group_sum_rss_peak_bytes: 380e6,
      memdrift_group_sum_pss_low_bytes: 350e6,
      memdrift_group_sum_pss_high_bytes: 350e6,
      memdrift_group_footprint_high_bytes: 350e6,
      memdrift_group_read_timestamp_seconds: 1_700_000_000,
      memdrift_group_slurm_default_bytes: 350e6,
      memdrift_group_limit_bytes: 500e6,
      memdrift_group_processes_ended_early_total: 3,
      memdrift_last_sample_timestamp_seconds: 1_700_000_000.1,
      'memdrift_build_info{version="1.2.3"}': 1,
    });
    // What is not known has no series: 0 would be a lie.
    expect(series).not.toHaveProperty('memdrift_group_cgroup_bytes');
    expect(series).not.toHaveProperty('memdrift_group_cgroup_peak_bytes');
  });

  test('of processes are sums over a name', async () => {
    const series = await seriesOf(nowOf(two));
    expect(series).toMatchObject({
      'memdrift_processes{name="client"}': 2,
      'memdrift_processes{name="server"}': 1,
      'memdrift_process_resident_memory_bytes{name="server",type="anon"}': 300e6,
      'memdrift_process_resident_memory_bytes{name="client",type="anon"}': 80e6,
      'memdrift_process_resident_memory_bytes{name="client",type="shmem"}': 20e6,
      'memdrift_process_proportional_memory_bytes{name="server"}': 300e6,
    });
    expect(series).not.toHaveProperty('memdrift_process_proportional_memory_bytes{name="client"}');
    expect(Object.keys(series).join()).not.toContain('outside');
  });

  test('of many names have so many series and no more, and lose nothing', async () => {
    const many = Array.from({ length: 500 }, (_, i) =>
      row(10 + i, 1, { name: `n${i}`, rssBytes: i * megabyte }),
    );
    const now = nowOf(many.filter(({ pid }) => pid !== 99));
    const series = await seriesOf(now);
    const counts = Object.entries(series).filter(([name]) =>
      name.startsWith('memdrift_processes{'),
    );
    expect(counts).toHaveLength(31);
    expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBe(499);
    expect(series).toHaveProperty('memdrift_processes{name="n499"}', 1);
    expect(series).toHaveProperty('memdrift_processes{name="(other)"}', 469);
  });

  test('of names that would break the text are as any other', async () => {
    const name = 'a"b\\c\nd\x1b} 7';
    const series = await seriesOf(nowOf([row(10, 1, { name, rssBytes: 1 })]));
    expect(series).toHaveProperty('memdrift_processes{name="a\\"b\\\\c?d?} 7"}', 1);
  });

  test('before the first sample are those of the watch alone', async () => {
    const series = await seriesOf(null);
    expect(Object.keys(series).filter((name) => name.startsWith('memdrift_'))).toEqual([
      'memdrift_group_processes_ended_early_total',
      'memdrift_build_info{version="1.2.3"}',
    ]);
    expect(series.process_cpu_seconds_total).toBeGreaterThan(0);
    expect(series.process_resident_memory_bytes).toBeGreaterThan(1e6);
    expect(Math.abs((series.process_start_time_seconds ?? 0) - Date.now() / 1000)).toBeLessThan(
      1e5,
    );
  });

  test('are those that docs/prometheus.md lists', async () => {
    const page = readFileSync(new URL('../../docs/prometheus.md', import.meta.url), 'utf8');
    const told = new Set(
      page.match(/\b(?:memdrift|process)_[a-z_]+(?:bytes|total|seconds|info)\b/g),
    );
    const registry = watchRegistry({ now: () => null, limitBytes: 1, version: '1' });
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(page).toContain('`memdrift_processes`');
    expect([...told, 'memdrift_processes'].toSorted()).toEqual(names.toSorted());
  });

  test('have a HELP text and a type each, and base units in their names', async () => {
    const registry = watchRegistry({ now: () => nowOf(two), limitBytes: 1, version: '1' });
    for (const { name, help, type } of await registry.getMetricsAsJSON()) {
      expect(help.length).toBeGreaterThan(10);
      expect(name).toMatch(/(_bytes|_seconds|_total|_info|memdrift_processes)$/);
      expect(name.endsWith('_total')).toBe(String(type) === 'counter');
    }
  });
});
