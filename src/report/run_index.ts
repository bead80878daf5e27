/** A capture as one of the processes of a run, and what was measured of all of them. */
import type { CaptureReport, ChildProcessPeak, MemorySeries } from '../capture/capture_model.ts';
import { endingTexts, type IndexData } from './page_model.ts';

type Process = IndexData['processes'][number];

/** More looks than a graph has pixels would only make the page large. */
const mostLooks = 1500;
const longestCommand = 1000;
const mostOthers = 100;

/** Returns the command line of a child, or its name where that was not recorded. */
export function commandOf({ argv, name }: Pick<ChildProcessPeak, 'argv' | 'name'>): string {
  return argv.length === 0 ? name : argv.join(' ');
}

/** `href`: its page, relative to the index. */
export function indexProcess({ stats, series }: CaptureReport, href: string): Process {
  const rss = Array.from(series.timeMs, (_, i) => rssAt(series, i));
  const known = rss.filter((bytes) => !Number.isNaN(bytes));
  return {
    name: stats.role ?? 'process',
    href: encodeURIComponent(href),
    pid: stats.pid,
    command: stats.argv?.join(' ').slice(0, longestCommand) ?? null,
    run: stats.run,
    startedAtMs: stats.startedAtMs,
    peakRssBytes: known.length === 0 ? null : known.reduce((most, one) => Math.max(most, one)),
    peakTrackedBytes: stats.peakBytes,
    leakedBytes: stats.leakedBytes,
    events: stats.events,
    others: stats.children
      .filter(({ isNode }) => !isNode)
      .slice(0, mostOthers)
      .map(({ pid, peakRssBytes, ...child }) => ({
        pid,
        command: commandOf(child).slice(0, longestCommand),
        peakRssBytes,
      })),
    damage: stats.damage,
    notice: endingTexts[stats.ending],
    series: columnsAt(series, looksThatMatter(rss, mostLooks)),
  };
}

function rssAt({ rssAnon, rssFile, rssShmem }: MemorySeries, i: number): number {
  return (rssAnon[i] ?? NaN) + (rssFile[i] ?? NaN) + (rssShmem[i] ?? NaN);
}

/** Of looks in a row the one with most: at most `most` of them, and the first and the last. */
export function looksThatMatter(bytes: readonly number[], most: number): number[] {
  if (bytes.length <= most) return bytes.map((_, i) => i);
  const step = bytes.length / (most - 2);
  const looks = new Set([0]);
  for (let begin = 0; begin < bytes.length; begin += step) {
    let highest = Math.floor(begin);
    for (let i = highest; i < Math.min(begin + step, bytes.length); i++) {
      if ((bytes[i] as number) > (bytes[highest] as number)) highest = i;
    }
    looks.add(highest);
  }
  looks.add(bytes.length - 1);
  return [...looks];
}

function columnsAt(series: MemorySeries, looks: readonly number[]): Process['series'] {
  const column = (name: keyof Process['series']): (number | null)[] =>
    looks.map((i) => known(series[name][i]));
  return {
    timeMs: column('timeMs'),
    rssAnon: column('rssAnon'),
    rssFile: column('rssFile'),
    rssShmem: column('rssShmem'),
    tracked: column('tracked'),
  };
}

/** Of the experiment's group.jsonl; lines that are cut or are something else are left out. */
export function groupOf(text: string): IndexData['group'] {
  const lines = text.split('\n').flatMap((line) => {
    const read = lineOf(line);
    return read === null ? [] : [read];
  });
  if (lines.length === 0) return null;
  const sums = lines.map(({ sumRssBytes }) => known(sumRssBytes) ?? NaN);
  const looks = looksThatMatter(sums, mostLooks).map((i) => lines[i] as GroupLine);
  return {
    processes: lines.reduce((most, { processes }) => Math.max(most, known(processes) ?? 0), 0),
    timeMs: looks.map(({ timeMs }) => timeMs),
    footprintBytes: looks.map(({ footprintBytes }) => known(footprintBytes)),
    sumRssBytes: looks.map(({ sumRssBytes }) => known(sumRssBytes)),
  };
}

interface GroupLine {
  readonly timeMs: number;
  readonly processes?: unknown;
  readonly footprintBytes?: unknown;
  readonly sumRssBytes?: unknown;
}

function lineOf(text: string): GroupLine | null {
  try {
    const line = JSON.parse(text) as GroupLine | null;
    return Number.isFinite(line?.timeMs) ? line : null;
  } catch {
    return null;
  }
}

function known(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
