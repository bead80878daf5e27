/** What groups had over time: of one log, and of several together. */
import type { WatchLog } from './watch_log.ts';
import {
  type SeriesView,
  seriesViews,
  type ViewSeries,
  type WatchJob,
} from './watch_page_model.ts';

type Column = readonly (number | null)[];
type Columns = Readonly<Record<SeriesView, Column>>;

interface Peak {
  readonly peakBytes: number | null;
  readonly atMs: number | null;
}

/** Every sample of a log, on the run's axis. */
export interface NodeTotals {
  readonly timeMs: readonly number[];
  readonly columns: Columns;
  readonly peaks: Readonly<Record<SeriesView, Peak>>;
}

/** By the names of the log. */
const nameInLog: Readonly<Record<SeriesView, string>> = {
  sumRss: 'rssBytes',
  sumPss: 'pssBytes',
  footprint: 'footprintBytes',
  slurmDefault: 'slurmDefault',
  slurmNoShared: 'slurmNoShared',
  slurmUsePss: 'slurmUsePss',
  cgroup: 'cgroupBytes',
};

/** `startMs`: of the log, since the run began. */
export function totalsOf({ totals }: WatchLog, startMs: number): NodeTotals {
  const timeMs = totals.timeMs.map((ms) => startMs + ms);
  const nothing = timeMs.map(() => null);
  const columns = byView((view) => totals.columns.get(nameInLog[view]) ?? nothing);
  return { timeMs, columns, peaks: byView((view) => peakOf(timeMs, columns[view])) };
}

function byView<Value>(of: (view: SeriesView) => Value): Record<SeriesView, Value> {
  return Object.fromEntries(seriesViews.map((view) => [view, of(view)])) as Record<
    SeriesView,
    Value
  >;
}

function peakOf(timeMs: readonly number[], column: Column): Peak {
  let at = -1;
  column.forEach((bytes, i) => {
    if (bytes !== null && (at < 0 || bytes > (column[at] as number))) at = i;
  });
  return at < 0
    ? { peakBytes: null, atMs: null }
    : { peakBytes: column[at] as number, atMs: timeMs[at] as number };
}

/** More moments than a graph has pixels would only make the page large. */
const mostMoments = 1500;

/** Of moments in a row the most of each column, at the time of the first of them. */
export function thinned({ timeMs, columns }: Pick<NodeTotals, 'timeMs' | 'columns'>): ViewSeries {
  const step = Math.max(1, Math.ceil(timeMs.length / mostMoments));
  const begins: number[] = [];
  for (let i = 0; i < timeMs.length; i += step) begins.push(i);
  const most = (column: Column): (number | null)[] =>
    begins.map((begin) => peakOf(timeMs, column.slice(begin, begin + step)).peakBytes);
  // The end of the axis is that of the run, not of the last stretch.
  const last = timeMs.length - 1;
  const isCut = step > 1 && begins.at(-1) !== last;
  const end = (column: Column): (number | null)[] => (isCut ? [column[last] ?? null] : []);
  return {
    timeMs: [...begins, ...(isCut ? [last] : [])].map((i) => timeMs[i] as number),
    columns: byView((view) => [...most(columns[view]), ...end(columns[view])]),
  };
}

/**
 * The sums of all nodes: from its first to its last sample each has what it last had, and nothing
 * before and after. Clocks are the nodes' own.
 */
export function jobOf(nodes: readonly NodeTotals[]): WatchJob {
  const moments = nodes.flatMap(({ timeMs }, node) => timeMs.map((at, i) => ({ at, node, i })));
  moments.sort((a, b) => a.at - b.at);
  const timeMs = moments.map(({ at }) => at);
  const columns = byView((view) => summed(nodes, moments, view));
  return {
    series: thinned({ timeMs, columns }),
    views: seriesViews.map((view) => {
      const peaks = nodes.map((node) => node.peaks[view].peakBytes);
      const known = peaks.filter((bytes) => bytes !== null);
      const isWhole = known.length === peaks.length && known.length > 0;
      return {
        view,
        largestBytes: isWhole ? Math.max(...known) : null,
        sumBytes: isWhole ? known.reduce((sum, bytes) => sum + bytes, 0) : null,
        ...peakOf(timeMs, columns[view]),
      };
    }),
  };
}

interface Moment {
  readonly node: number;
  readonly i: number;
}

function summed(
  nodes: readonly NodeTotals[],
  moments: readonly Moment[],
  view: SeriesView,
): (number | null)[] {
  const now: (number | null)[] = nodes.map(() => 0);
  let sum = 0;
  let unknown = 0;
  const put = (node: number, bytes: number | null): void => {
    const before = now[node] as number | null;
    if (before === null) unknown--;
    else sum -= before;
    if (bytes === null) unknown++;
    else sum += bytes;
    now[node] = bytes;
  };
  return moments.map(({ node, i }) => {
    const { timeMs, columns } = nodes[node] as NodeTotals;
    put(node, columns[view][i] ?? null);
    const value = unknown > 0 ? null : sum;
    // What it had at its last sample is in the sum of that moment, and of no later one.
    if (i === timeMs.length - 1) put(node, 0);
    return value;
  });
}
