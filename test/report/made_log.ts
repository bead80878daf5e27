/** Logs of `memdrift watch`, as docs/watch-log.md has them, of what a test says. */
import { headerProblem, type WatchLog, WatchLogReader } from '../../src/report/watch_log.ts';

export const startedAtMs = 1_700_000_000_000;

export const rowFields = [
  'id',
  'rssBytes',
  'rssAnonBytes',
  'rssFileBytes',
  'rssShmemBytes',
  'swapBytes',
  'statRssBytes',
  'pssBytes',
];
export const totalFields = [
  'rssBytes',
  'pssBytes',
  'footprintBytes',
  'slurmDefault',
  'slurmNoShared',
  'slurmUsePss',
  'cgroupBytes',
];

type Line = Readonly<Record<string, unknown>>;

export function headerOf(more: Line = {}): Line {
  return {
    type: 'header',
    kind: 'memdrift-watch',
    schemaVersion: 1,
    host: 'n1',
    pid: 4711,
    startedAtMs,
    command: ['python3', 'x.py'],
    roots: [4712],
    options: { intervalMs: 100, limitBytes: 500e6 },
    slurm: null,
    rowFields,
    totalFields,
    ...more,
  };
}

export function beginOf(id: number, name: string, more: Line = {}): Line {
  const who = { id, pid: 4711 + id, parentPid: 4711, name, startTimeTicks: id };
  return { type: 'begin', atMs: 0, ...who, isWatch: false, inGroup: true, ...more };
}

/** Sizes in MB: of each process by its id RSS (half of it anonymous, half shared) and PSS. */
export function sampleOf(
  atMs: number,
  rows: Readonly<Record<number, readonly [rss: number, pss: number | null]>>,
  totals: readonly (number | null)[],
): Line {
  const MB = (size: number | null): number | null => (size === null ? null : size * 1e6);
  const made = Object.entries(rows).map(([id, [rss, pss]]) => {
    const half = MB(rss / 2);
    return [Number(id), MB(rss), half, 0, half, 0, MB(rss), MB(pss)];
  });
  return { type: 'sample', atMs, rows: made, totals: totals.map(MB) };
}

export function textOf(lines: readonly (Line | string)[]): string {
  return lines.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('');
}

export function logOf(lines: readonly (Line | string)[]): WatchLog {
  const [first = '', ...rest] = textOf(lines).split('\n');
  if (headerProblem(first) !== null) throw new Error(`no header: ${first}`);
  const reader = new WatchLogReader(first);
  for (const line of rest) reader.add(line);
  return reader.finish();
}

const view = (peakBytes: number | null, rangeBytes: readonly number[] | null): Line => ({
  peakBytes,
  atMs: 200,
  exactness: 'sampled',
  rangeBytes,
});

/** Of `knownLog`, with what its samples have missed. */
export const knownSummary: Line = {
  type: 'summary',
  schemaVersion: 1,
  completed: true,
  durationMs: 450,
  exit: { code: 3, signal: null },
  limit: 500e6,
  views: {
    sumRss: view(600e6, [600e6, 600e6]),
    footprint: view(310e6, null),
    slurmDefault: view(600e6, [200e6, 620e6]),
    cgroup: view(null, null),
  },
  verdicts: [
    { view: 'slurmDefault', kills: 'too-close', atMs: 200 },
    { view: 'sumRss', kills: 'yes', atMs: 200, byBytes: 100e6 },
  ],
  blindSpots: [{ kind: 'orphan', pid: 4713, name: 'a <b>', bytes: 5e6, views: ['slurmDefault'] }],
  processes: [{ pid: 4712, startTimeTicks: 1, peak: { rssBytes: 444e6, pssBytes: 250e6 } }],
  cgroup: { folder: '/sys/fs/cgroup/a', version: 2, otherProcesses: 4 },
  observer: { cpuMs: 12, percentOfCore: 0.5 },
};

/** Two processes, of which one ends. */
export const knownLines: readonly Line[] = [
  headerOf(),
  beginOf(1, 'python3'),
  sampleOf(0, { 1: [100, 100] }, [100, 100, 100, 100, 50, 100, null]),
  beginOf(2, 'worker', { atMs: 150 }),
  { type: 'pass', atMs: 180, processes: 2 },
  sampleOf(200, { 1: [400, 200], 2: [200, 100] }, [600, 300, 310, 600, 300, 300, null]),
  { type: 'change', id: 2, name: 'ren\u2028amed', parentPid: 1 },
  { type: 'end', atMs: 250, id: 2 },
  { ...sampleOf(300, {}, [400, 200, 210, 400, 200, 200, null]), endedEarly: [2, 5] },
];

export const knownLog = (): WatchLog => logOf([...knownLines, knownSummary]);
