/**
 * What one run of the experiment found: the contract of `--json FILE` and the model that
 * src/report/experiment_text.ts renders. Sizes are bytes; what cannot be known is null, never 0.
 */
import type { Exactness } from '../proc/exactness.ts';
import type { ExperimentOptions } from './options.ts';

/** A high-water mark with what stands behind it. */
export interface Peak {
  readonly bytes: number;
  /** Milliseconds since the run began; null when the kernel keeps the peak but not its time. */
  readonly atMs: number | null;
  readonly exactness: Exactness;
  /** How many samples the peak was chosen from. */
  readonly samples: number;
}

/** First, last and highest value of one of Node's own numbers. */
export interface HeapSeries {
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly peakBytes: number;
}

export type Role = 'main' | 'server' | 'client';

export interface ProcessReport {
  readonly role: Role;
  /** `Main`, `Server` or `Client 3`. */
  readonly label: string;
  readonly pid: number;
  /** How it ended, for a process that did not end as it should; null otherwise. */
  readonly died: string | null;
  readonly peak: {
    readonly rssBytes: number | null;
    readonly ussBytes: number | null;
    readonly pssBytes: number | null;
    readonly sharedBytes: number | null;
    readonly rssAnonBytes: number | null;
  };
  /** The same peaks with time, exactness and samples. */
  readonly peakDetail: Readonly<Record<keyof ProcessReport['peak'], Peak | null>>;
  /** Node's own numbers at the end; null for a process that died before it could say. */
  readonly heap: {
    readonly heapUsedBytes: number;
    readonly heapTotalBytes: number;
    readonly externalBytes: number;
    readonly arrayBuffersBytes: number;
  } | null;
  readonly heapSeries: Readonly<
    Record<
      'heapUsed' | 'heapTotal' | 'external' | 'arrayBuffers' | 'rss' | 'storeMapped',
      HeapSeries
    >
  > | null;
  /** Drift of the last sample: RSS - heapTotal - store pages mapped. */
  readonly driftBytes: number | null;
  /** Drift of the first sample, so that growth can be told from a high start. */
  readonly driftFirstBytes: number | null;
  readonly samples: number;
}

export interface ExperimentReport {
  readonly schemaVersion: 1;
  readonly options: ExperimentOptions;
  /** True when every array of every round was checked and found right. */
  readonly completed: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly wallMs: number;
  readonly arraysChecked: number;
  readonly roundsDone: number;
  readonly processes: readonly ProcessReport[];
  /** Sums of the processes' peaks, as the original experiment prints them; null: one is unknown. */
  readonly totals: {
    readonly rssBytes: number | null;
    readonly ussBytes: number | null;
    readonly pssBytes: number | null;
    readonly sharedBytes: number | null;
  };
  readonly footprint: {
    readonly peakBytes: number | null;
    readonly atMs: number | null;
    readonly exactness: Exactness;
    /** Bounds of the highest value of all looks (docs/bounds.md). */
    readonly rangeBytes: readonly [low: number, high: number] | null;
    /** The group's sum of RSS at that moment: over the footprint, how often a page was counted. */
    readonly sumRssBytesThen: number | null;
  };
  readonly store: {
    readonly capacityBytes: number;
    readonly liveBytesPeak: number;
    readonly arenaBytesPeak: number;
    readonly residentBytesPeak: number;
    readonly puts: number;
    readonly gets: number;
  };
  /** What every process's smaps said at the moments that count, whatever the budget. */
  readonly looks: readonly Look[];
  /** What measuring cost: CPU of the sampler's thread. */
  readonly observer: {
    readonly cpuMs: number;
    readonly percentOfCore: number;
    readonly samples: number;
    readonly passes: number;
    readonly samplesDropped: number;
  };
  /** Where the series, the store's log and the captures were written; null when not written. */
  readonly files: {
    readonly series: string | null;
    readonly storeLog: string | null;
    readonly captureDir: string | null;
  };
}

/** One full look at the group; the footprint is exact. */
export interface Look {
  readonly moment: 'first wave' | 'mid-run' | 'last release';
  readonly atMs: number;
  /** How many processes it saw. */
  readonly processes: number;
  readonly footprintBytes: number | null;
  readonly sumRssBytes: number | null;
}

/** What the progress line shows while a run is going. */
export interface ExperimentProgress {
  readonly roundsDone: number;
  readonly roundsTotal: number;
  readonly arraysInFlight: number;
  readonly footprintBytes: number | null;
  readonly elapsedMs: number;
}
