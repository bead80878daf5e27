/** Logs as a page's data: one log, and those of several nodes on one axis. */
import { describe, expect, test } from 'vitest';
import { watchPage } from '../../src/report/watch_page.ts';
import { seriesViews } from '../../src/report/watch_page_model.ts';
import { thinned } from '../../src/report/watch_sums.ts';
import { headerOf, knownLines, knownLog, logOf, sampleOf, startedAtMs } from './made_log.ts';

describe('one log', () => {
  const page = watchPage('run', [{ file: 'run.jsonl', log: knownLog() }]);
  const [node] = page.nodes;

  test('has its views with ranges and verdicts, processes by the peaks of the kernel', () => {
    expect(page).toMatchObject({ beganAtMs: startedAtMs, durationMs: 450, job: null });
    expect(node).toMatchObject({ name: 'n1', damage: null, limitBytes: 500e6, processesLeft: 0 });
    expect(node?.views).toEqual([
      expect.objectContaining({ view: 'sumRss', peakBytes: 600e6, kills: 'yes', killsAtMs: 200 }),
      expect.objectContaining({ view: 'footprint', rangeBytes: null, kills: null }),
      expect.objectContaining({
        view: 'slurmDefault',
        rangeBytes: [200e6, 620e6],
        kills: 'too-close',
      }),
      expect.objectContaining({ view: 'cgroup', peakBytes: null, kills: null }),
    ]);
    expect(node?.processes[0]).toMatchObject({
      pid: 4712,
      peakRssBytes: 444e6,
      peakPssBytes: 250e6,
    });
    expect(node?.processes[1]).toMatchObject({
      peakRssBytes: 200e6,
      beganAtMs: 150,
      endedAtMs: 250,
    });
    expect(node?.series.columns.footprint).toEqual([100e6, 310e6, 210e6]);
  });

  test('a process has what it had last until its end, or that of the log', () => {
    const [first, second] = node?.processes ?? [];
    expect(first?.series.timeMs).toEqual([0, 200, 300]);
    expect(first?.series.pss).toEqual([100e6, 200e6, 200e6]);
    expect(second?.series.timeMs).toEqual([200, 250]);
  });

  test('names what accountants do not see, and what the run was', () => {
    expect(node?.blindSpots).toEqual([
      "a <b> 4713 has lost its parent, so that no way leads to it, 5.00 MB (SLURM's default)",
    ]);
    expect(Object.fromEntries(node?.facts ?? [])).toMatchObject({
      command: 'python3 x.py',
      'ended with': '3',
      samples: '3, one every 100 ms',
      'ended before a sample saw them': 'at least 2, at most 5',
      cgroup: 'v2 /sys/fs/cgroup/a, charged for 4 processes that are not watched too',
      'cost of the watch': '0.01 s of CPU time, 0.50 % of a core',
    });
  });

  test('that is cut says so, and has the peaks of its samples', () => {
    const [cut] = watchPage('run', [{ file: 'run.jsonl', log: logOf(knownLines) }]).nodes;
    expect(cut).toMatchObject({ damage: null, notice: expect.stringMatching(/^not closed/) });
    expect(cut?.limitBytes).toBe(500e6);
    expect(cut?.views.find(({ view }) => view === 'sumRss')).toMatchObject({
      peakBytes: 600e6,
      atMs: 200,
      exactness: 'sampled',
      rangeBytes: null,
    });
    expect(cut?.endMs).toBe(300);
  });

  test('of nothing but a header is a page too', () => {
    const header = { startedAtMs: 1e300, command: null, options: [], host: 7, slurm: 'x' };
    const log = logOf([headerOf(header)]);
    const [empty] = watchPage('run', [{ file: 'a.jsonl', log }]).nodes;
    expect(empty).toMatchObject({ name: 'a.jsonl', processes: [], limitBytes: null, startMs: 0 });
    expect(empty?.views.every(({ peakBytes }) => peakBytes === null)).toBe(true);
  });
});

describe('several nodes', () => {
  const slurm = (nodeName: string, procId: string) => ({ nodeName, procId, jobId: '7' });
  const first = logOf([
    headerOf({ slurm: slurm('n1', '0') }),
    sampleOf(0, {}, [100, 50, 50]),
    sampleOf(1000, {}, [300, 150, 150]),
    sampleOf(2000, {}, [200, null, 100]),
  ]);
  const second = logOf([
    headerOf({ host: 'n2', startedAtMs: startedAtMs + 500, slurm: slurm('n2', '1') }),
    sampleOf(0, {}, [10, 5, 5]),
    sampleOf(1000, {}, [30, 15, 15]),
    sampleOf(9000, {}, [400, 15, 15]),
  ]);
  const page = watchPage('job', [
    { file: 'b.jsonl', log: second },
    { file: 'a.jsonl', log: first },
  ]);

  test('stand on one axis of wall-clock time, in the order in which they began', () => {
    expect(page.nodes.map(({ name, startMs, endMs }) => [name, startMs, endMs])).toEqual([
      ['n1, task 0', 0, 2000],
      ['n2, task 1', 500, 9500],
    ]);
    expect(page.nodes[1]?.series.timeMs).toEqual([500, 1500, 9500]);
    expect(page.durationMs).toBe(9500);
  });

  test('of one host are told apart by their files', () => {
    const logs = ['a.jsonl', 'b.jsonl'].map((file) => ({ file, log: knownLog() }));
    const names = watchPage('job', logs).nodes.map(({ name }) => name);
    expect(names).toEqual(['n1, a.jsonl', 'n1, b.jsonl']);
  });

  test('are added up at each moment from their first to their last sample', () => {
    expect(page.job?.series.timeMs).toEqual([0, 500, 1000, 1500, 2000, 9500]);
    const MB = (column: readonly (number | null)[] | undefined) =>
      column?.map((bytes) => (bytes === null ? null : bytes / 1e6));
    expect(MB(page.job?.series.columns.sumRss)).toEqual([100, 110, 310, 330, 230, 400]);
    // One that is not known at a moment makes the sum unknown then.
    expect(MB(page.job?.series.columns.sumPss)).toEqual([50, 55, 155, 165, null, 15]);
  });

  test('have three answers: the highest, the sum of peaks, and the peak of the sum', () => {
    expect(page.job?.views.find(({ view }) => view === 'sumRss')).toEqual({
      view: 'sumRss',
      largestBytes: 400e6,
      sumBytes: 700e6,
      peakBytes: 400e6,
      atMs: 9500,
    });
    expect(page.job?.views.find(({ view }) => view === 'slurmDefault')).toMatchObject({
      largestBytes: null,
      sumBytes: null,
      peakBytes: null,
    });
  });
});

test('of many moments the most of each column stays, and the ends', () => {
  const timeMs = Array.from({ length: 10_001 }, (_, i) => i);
  const column = (at: number) => timeMs.map((i) => (i === at ? 9 : 1));
  const columns = Object.fromEntries(seriesViews.map((view, i) => [view, column(1000 * i + 3)]));
  const thin = thinned({ timeMs, columns: columns as never });
  expect(thin.timeMs.length).toBeLessThanOrEqual(1501);
  expect([thin.timeMs[0], thin.timeMs.at(-1)]).toEqual([0, 10_000]);
  for (const view of seriesViews) {
    expect(thin.columns[view]).toHaveLength(thin.timeMs.length);
    expect(Math.max(...(thin.columns[view] as number[]))).toBe(9);
  }
});
