/**
 * What is in the page of watch logs: made by watch_page.ts, read by src/page/watch.ts in a browser.
 * Sizes in bytes, times in ms; null: not known.
 */

/** What some accountant would call the memory of the group, as a log's samples have it. */
export const seriesViews = [
  'sumRss',
  'sumPss',
  'footprint',
  'slurmDefault',
  'slurmNoShared',
  'slurmUsePss',
  'cgroup',
] as const;

export type SeriesView = (typeof seriesViews)[number];

export const viewLabels: Readonly<Record<string, string>> = {
  sumRss: 'sum of RSS',
  sumPss: 'sum of PSS',
  footprint: 'footprint: each page once',
  slurmDefault: "SLURM's default",
  slurmNoShared: "SLURM's NoShared",
  slurmUsePss: "SLURM's UsePss",
  slurmCgroup: "SLURM's jobacct_gather/cgroup",
  cgroup: 'cgroup',
};

type Column = readonly (number | null)[];

/** The most of each column in the time from one moment to the next. */
export interface ViewSeries {
  /** Since the run began. */
  readonly timeMs: readonly number[];
  readonly columns: Readonly<Record<SeriesView, Column>>;
}

export interface WatchView {
  readonly view: string;
  readonly peakBytes: number | null;
  /** Since the run began. */
  readonly atMs: number | null;
  readonly exactness: string;
  readonly rangeBytes: readonly [number, number] | null;
  /** Of a limit: yes, no, too-close; null: there was none. */
  readonly kills: string | null;
  readonly killsAtMs: number | null;
  /** Peak less limit. */
  readonly overBytes: number | null;
}

export interface WatchProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** Since the run began; null as an end: it did not. */
  readonly beganAtMs: number;
  readonly endedAtMs: number | null;
  readonly peakRssBytes: number | null;
  readonly peakPssBytes: number | null;
  readonly isWatch: boolean;
  readonly inGroup: boolean;
  readonly series: Readonly<Record<'timeMs' | 'rssAnon' | 'rssFile' | 'rssShmem' | 'pss', Column>>;
}

/** One log. */
export interface WatchNode {
  readonly name: string;
  /** Since the run began. */
  readonly startMs: number;
  readonly endMs: number;
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** How its log is cut; null: it is whole. */
  readonly damage: string | null;
  /** Where the log was not closed. */
  readonly notice: string | null;
  readonly limitBytes: number | null;
  readonly series: ViewSeries;
  readonly views: readonly WatchView[];
  readonly blindSpots: readonly string[];
  /** The largest; how many smaller ones are left out. */
  readonly processes: readonly WatchProcess[];
  readonly processesLeft: number;
}

/** All logs of a run together. */
export interface WatchJob {
  readonly series: ViewSeries;
  readonly views: readonly {
    readonly view: SeriesView;
    /** The highest of all nodes' peaks, and what the peaks are together. */
    readonly largestBytes: number | null;
    readonly sumBytes: number | null;
    /** The highest sum at one moment. */
    readonly peakBytes: number | null;
    readonly atMs: number | null;
  }[];
}

export interface WatchData {
  readonly title: string;
  /** Since 1970. */
  readonly beganAtMs: number;
  readonly durationMs: number;
  readonly nodes: readonly WatchNode[];
  /** Null: there is one node. */
  readonly job: WatchJob | null;
}
