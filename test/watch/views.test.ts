import { describe, expect, test } from 'vitest';
import { counterNoiseBytes } from '../../src/watch/swings.ts';
import { Views, type ViewsOptions } from '../../src/watch/views.ts';
import type { ProcessRow, ViewName } from '../../src/watch/watch_model.ts';
import { boundsOf, groupOf, megabyte, row, sample } from './made_samples.ts';

const root = 10;

/** Of SLURM's views, which read counters of so many processes. */
function noisy(processes: number, low: number, high = low): readonly [number, number] {
  const noise = processes * counterNoiseBytes;
  return [low * megabyte - noise, high * megabyte + noise];
}

function viewsOf(options: Partial<ViewsOptions> = {}): Views {
  return new Views({
    roots: [root],
    outside: [],
    intervalMs: 100,
    slurmFrequencyMs: 1000,
    proctrack: 'cgroup',
    limitBytes: null,
    ...options,
  });
}

/** The same processes from `fromMs` for `forMs`. */
function hold(views: Views, [fromMs, forMs]: [number, number], rows: readonly ProcessRow[]): void {
  for (let atMs = fromMs; atMs < fromMs + forMs; atMs += 100) views.add(sample(atMs, rows));
}

/** 500 MB of shared memory, mapped by a parent and four children with 50 MB each. */
const sharers = [
  row(root, 1, {
    rssBytes: 510 * megabyte,
    statRssBytes: 509 * megabyte,
    sharedBytes: 505 * megabyte,
    pssBytes: 105 * megabyte,
  }),
  ...[11, 12, 13, 14].map((pid) =>
    row(pid, root, {
      rssBytes: 555 * megabyte,
      statRssBytes: 554 * megabyte,
      sharedBytes: 505 * megabyte,
      pssBytes: 150 * megabyte,
    }),
  ),
];

describe('Views', () => {
  test('sum up as each accountant does', () => {
    const views = viewsOf();
    hold(views, [0, 4000], sharers);
    const peaks = views.peaks();
    const range = (bytes: number) => [bytes * megabyte, bytes * megabyte];
    expect(peaks.sumRss).toMatchObject({ peakBytes: 2730 * megabyte, exactness: 'kernel' });
    expect(peaks.sumPss).toMatchObject({ peakBytes: 705 * megabyte, rangeBytes: range(705) });
    expect(peaks.slurmDefault.rangeBytes).toEqual(noisy(5, 2725));
    expect(peaks.slurmNoShared.rangeBytes).toEqual(noisy(5, 205));
    expect(peaks.slurmUsePss.rangeBytes).toEqual(noisy(5, 705));
    expect(peaks.cgroup).toMatchObject({ peakBytes: null, rangeBytes: null });
  });

  test('a peak is one of sums, never the sum of peaks', () => {
    const views = viewsOf();
    const [large, small] = [{ rssBytes: 100 * megabyte }, { rssBytes: 10 * megabyte }];
    hold(views, [0, 2000], [row(root, 1, large), row(11, root, small)]);
    hold(views, [2000, 2000], [row(root, 1, small), row(11, root, large)]);
    expect(views.peaks().slurmDefault.peakBytes).toBe(110 * megabyte);
  });

  test('what swings within a second may have been high together', () => {
    const views = viewsOf();
    const rss = (isHigh: boolean) => ({ rssBytes: (isHigh ? 100 : 10) * megabyte });
    for (let atMs = 0; atMs < 6000; atMs += 100) {
      const isFirst = Math.floor(atMs / 300) % 2 === 0;
      views.add(sample(atMs, [row(root, 1, rss(isFirst)), row(11, root, rss(!isFirst))]));
    }
    const { peakBytes, rangeBytes } = views.peaks().slurmDefault;
    expect(peakBytes).toBe(110 * megabyte);
    expect(rangeBytes).toEqual(noisy(2, 20, 200));
  });

  test('what VmHWM rose to between two samples SLURM may have seen', () => {
    const views = viewsOf();
    const calm = { rssBytes: 10 * megabyte, peakRssBytes: 12 * megabyte };
    hold(views, [0, 3000], [row(root, 1, calm)]);
    const rangeOf = () => views.peaks().slurmDefault.rangeBytes;
    expect(rangeOf()).toEqual(noisy(1, 10));
    hold(views, [3000, 3000], [row(root, 1, { ...calm, peakRssBytes: 70 * megabyte })]);
    expect(rangeOf()).toEqual(noisy(1, 10, 70));
  });

  test('pages of a segment that nobody maps are in the footprint alone', () => {
    const views = viewsOf();
    const group = { ...groupOf(sharers), footprint: boundsOf(712 * megabyte) };
    views.add(sample(0, sharers, { group }));
    expect(views.peaks().footprint.peakBytes).toBe(712 * megabyte);
    expect(views.peaks().sumPss.peakBytes).toBe(705 * megabyte);
  });

  test('include possible memory between two looks in their ranges', () => {
    const views = viewsOf({ limitBytes: 800 * megabyte });
    const pss = boundsOf(705 * megabyte, 706 * megabyte, 900 * megabyte);
    views.add(sample(0, sharers, { group: { ...groupOf(sharers), pss } }));
    expect(views.peaks().sumPss.rangeBytes).toEqual([705 * megabyte, 900 * megabyte]);
    expect(views.verdicts().find(({ view }) => view === 'sumPss')?.kills).toBe('too-close');
    expect(views.peaks().slurmUsePss.rangeBytes?.[1]).toBe(noisy(5, 0, 900)[1]);
  });

  test('bounds PSS by 0 and RSS when it was never read', () => {
    const views = viewsOf();
    const unread = { rssBytes: 9 * megabyte, pssBytes: null, passedAtMs: null };
    for (const atMs of [0, 100]) views.add(sample(atMs, [row(root, 1, unread)]));
    expect(views.peaks().sumPss.rangeBytes).toEqual([0, 9 * megabyte]);
    expect(views.peaks().slurmUsePss.rangeBytes?.[1]).toBe(noisy(1, 0, 9)[1]);
  });

  test('SLURM takes RSS where PSS is 0, and PSS else', () => {
    const views = viewsOf();
    hold(views, [0, 3000], [row(root, 1, { rssBytes: 5 * megabyte, pssBytes: 0 })]);
    expect(views.peaks().slurmUsePss.peakBytes).toBe(5 * megabyte);
  });

  test('are unknown, without verdicts, until a sample has a process of the group', () => {
    const views = viewsOf({ outside: [99], limitBytes: megabyte });
    const watch = row(99, 1, { rssBytes: 60 * megabyte });
    expect(views.add(sample(0, [watch])).sumRss).toBeNull();
    for (const { peakBytes, rangeBytes } of Object.values(views.peaks()))
      expect([peakBytes, rangeBytes]).toEqual([null, null]);
    expect(views.verdicts()).toEqual([]);
    const one = row(root, 1, { rssBytes: 5 * megabyte });
    const now = views.add(sample(100, [watch, one], { group: groupOf([one]) }));
    expect(now.sumRss).toBe(5 * megabyte);
    expect(views.verdicts()).toHaveLength(6);
    expect(views.add(sample(200, [watch], { group: groupOf([]) })).sumRss).toBe(0);
    expect(views.peaks().footprint).toMatchObject({ peakBytes: 5 * megabyte, atMs: 100 });
  });

  test('of one sample have it in the range, and as what may pass the limit', () => {
    const views = viewsOf({ limitBytes: 50 * megabyte });
    views.add(sample(0, [row(root, 1, { rssBytes: 80 * megabyte })]));
    expect(views.peaks().slurmNoShared.rangeBytes).toEqual([0, noisy(1, 80)[1]]);
    const verdict = views.verdicts().find(({ view }) => view === 'slurmNoShared');
    expect(verdict).toMatchObject({ kills: 'too-close', atMs: 0 });
  });

  test('a watch outside of the group is in no view', () => {
    const views = viewsOf({ outside: [99] });
    views.add(sample(0, [...sharers, row(99, 1, { rssBytes: 60 * megabyte })]));
    expect(views.peaks().sumRss.peakBytes).toBe(2730 * megabyte);
    expect(views.isInGroup(99)).toBe(false);
  });

  test('cgroup: anonymous memory in version 1, all of it in 2, and the kernel’s peak', () => {
    const look = {
      currentBytes: 90,
      peakBytes: 120,
      anonBytes: 30,
      reclaimableBytes: 5,
    };
    for (const [version, expected] of [
      [1, 30],
      [2, 90],
    ] as const) {
      const views = viewsOf();
      views.add(sample(0, sharers), { version, ...look });
      expect(views.peaks().slurmCgroup.peakBytes).toBe(expected);
      // What the kernel had before we came is what it may have been, not what it was.
      const before = { peakBytes: 90, rangeBytes: [90, 120], exactness: 'sampled' };
      expect(views.peaks().cgroup).toMatchObject(before);
      views.add(sample(1000, sharers), { version, ...look, peakBytes: 130 });
      const since = { peakBytes: 130, rangeBytes: [130, 130], exactness: 'kernel' };
      expect(views.peaks().cgroup).toMatchObject(since);
    }
  });

  test.for([
    [80, 'yes'],
    [86, 'too-close'],
    [100, 'too-close'],
    [130, 'no'],
  ] as const)('page cache is given up before a limit of %d kills: %s', ([limitBytes, kills]) => {
    const views = viewsOf({ limitBytes });
    const look = { version: 2, currentBytes: 90, anonBytes: 30, reclaimableBytes: 5 } as const;
    views.add(sample(0, sharers), { ...look, peakBytes: 90 });
    views.add(sample(1000, sharers), { ...look, peakBytes: 120 });
    const verdict = views.verdicts().find(({ view }) => view === 'cgroup');
    expect(verdict).toMatchObject({ kills, byBytes: 85 - limitBytes });
  });
});

describe('blind spots', () => {
  const rows = [
    row(root, 1, { rssBytes: 10 * megabyte }),
    row(11, root, { rssBytes: 200 * megabyte, name: 'my worker' }),
    row(12, 11, { rssBytes: 20 * megabyte }),
    row(13, 1, { rssBytes: 300 * megabyte, name: 'daemon' }),
  ];

  test('an orphan is in the group and not in SLURM’s tree', () => {
    const views = viewsOf();
    hold(views, [0, 3000], rows);
    expect(views.peaks().sumRss.peakBytes).toBe(530 * megabyte);
    expect(views.peaks().slurmDefault.peakBytes).toBe(230 * megabyte);
    expect(views.blindSpots(new Map())).toContainEqual({
      kind: 'orphan',
      pid: 13,
      name: 'daemon',
      bytes: 300 * megabyte,
      views: ['slurmDefault', 'slurmNoShared', 'slurmUsePss'],
    });
  });

  test.each(['linuxproc', 'pgid'] as const)('%s does not see a name with a space', (proctrack) => {
    const views = viewsOf({ proctrack });
    hold(views, [0, 3000], rows);
    expect(views.peaks().slurmDefault.peakBytes).toBe(10 * megabyte);
    const hidden = views.blindSpots(new Map()).filter(({ kind }) => kind === 'name-with-space');
    expect(hidden.map(({ pid, bytes }) => [pid, bytes])).toEqual([
      [11, 200 * megabyte],
      [12, 20 * megabyte],
    ]);
  });

  test('with proctrack/cgroup it is named too, and hides nothing', () => {
    const views = viewsOf();
    hold(views, [0, 3000], rows);
    const spot = views.blindSpots(new Map()).find(({ pid }) => pid === 11);
    expect(spot).toMatchObject({ kind: 'name-with-space', views: [] });
  });

  test('what VmHWM has above all samples fell between two', () => {
    const views = viewsOf();
    hold(views, [0, 3000], rows);
    const peaks = new Map([
      [12, { name: 'p12', bytes: 90 * megabyte }],
      [11, { name: 'my worker', bytes: 200 * megabyte + 1000 }],
    ]);
    const spots = views.blindSpots(peaks).filter(({ kind }) => kind === 'between-samples');
    expect(spots).toEqual([expect.objectContaining({ pid: 12, bytes: 70 * megabyte })]);
  });
});

describe('verdicts', () => {
  function verdictOf(limitBytes: number, view: ViewName = 'slurmDefault', heldMs = 3000) {
    const views = viewsOf({ limitBytes });
    hold(views, [0, 2000], [row(root, 1, { rssBytes: 10 * megabyte })]);
    hold(views, [2000, heldMs], [row(root, 1, { rssBytes: 100 * megabyte })]);
    hold(views, [2000 + heldMs, 2000], [row(root, 1, { rssBytes: 10 * megabyte })]);
    return views.verdicts().find((one) => one.view === view);
  }

  test('say which view kills, when and by how much', () => {
    expect(verdictOf(60 * megabyte, 'sumRss')).toEqual({
      view: 'sumRss',
      kills: 'yes',
      atMs: 2000,
      byBytes: 40 * megabyte,
    });
    expect(verdictOf(60 * megabyte)).toMatchObject({ kills: 'yes', byBytes: 40 * megabyte });
    expect(verdictOf(200 * megabyte)).toEqual({
      view: 'slurmDefault',
      kills: 'no',
      atMs: null,
      byBytes: -100 * megabyte,
    });
  });

  test('within 2 % of the limit nobody can tell', () => {
    for (const limit of [98.5, 101.5]) expect(verdictOf(limit * megabyte)?.kills).toBe('too-close');
    expect(verdictOf(97.5 * megabyte)?.kills).toBe('yes');
    expect(verdictOf(102.5 * megabyte)?.kills).toBe('no');
  });

  test('where the phase decides nobody can tell either', () => {
    expect(verdictOf(60 * megabyte, 'slurmDefault', 400)?.kills).toBe('too-close');
    expect(verdictOf(60 * megabyte, 'sumRss', 400)?.kills).toBe('yes');
  });

  test('there are none without a limit, nor of a view that is not known', () => {
    const views = viewsOf();
    hold(views, [0, 1000], sharers);
    expect(views.verdicts()).toEqual([]);
    expect(verdictOf(1, 'cgroup')).toBeUndefined();
  });
});
