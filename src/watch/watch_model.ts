/**
 * What `memdrift watch` finds and `--json` writes. Sizes are bytes, times milliseconds since the
 * sampler began; null is not known, never 0.
 */
import type { Exactness } from '../proc/exactness.ts';
import type { Sample } from '../proc/sampler.ts';
import type { WatchedCgroup } from './cgroup_eye.ts';

/** One process at one moment. */
export type ProcessRow = Sample['processes'][number];

/** What some accountant would call the memory of the group; one list for code, JSON and text. */
export const viewNames = [
  'sumRss',
  'sumPss',
  'footprint',
  'slurmDefault',
  'slurmNoShared',
  'slurmUsePss',
  'slurmCgroup',
  'cgroup',
] as const;

export type ViewName = (typeof viewNames)[number];

export interface ViewPeak {
  /** The highest that we saw. */
  readonly peakBytes: number | null;
  readonly atMs: number | null;
  readonly exactness: Exactness;
  /**
   * Between these is what the accountant will say: for SLURM whatever the phase of its samples is,
   * for estimates however wrong they can be. Null where the peak is not known.
   */
  readonly rangeBytes: readonly [low: number, high: number] | null;
}

export interface Verdict {
  readonly view: ViewName;
  /** `too-close`: within 2 % of the limit, or the phase of the samples decides. */
  readonly kills: 'yes' | 'no' | 'too-close';
  /** When the limit is first passed, at the earliest; null: it is not. */
  readonly atMs: number | null;
  /** Peak less limit: below 0 when there is room. Null where the peak is not known. */
  readonly byBytes: number | null;
}

/** What an accountant does not see, with the process and how much it had. */
export interface BlindSpot {
  readonly kind: 'name-with-space' | 'orphan' | 'between-samples';
  readonly pid: number;
  readonly name: string;
  /** Its largest RSS while it was not seen; `between-samples`: VmHWM less the highest sample. */
  readonly bytes: number;
  readonly views: readonly ViewName[];
}

export interface WatchedProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  readonly startTimeTicks: number;
  readonly beganAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly samples: number;
  /** How many reads of smaps stand behind PSS and USS. */
  readonly passes: number;
  readonly peak: Readonly<Record<PeakField, number | null>>;
  /** memdrift watch itself. */
  readonly isWatch: boolean;
  /** Its memory is in the totals and views. */
  readonly inGroup: boolean;
}

export const peakFields = [
  'rssBytes',
  'ussBytes',
  'pssBytes',
  'sharedBytes',
  'rssAnonBytes',
] as const;

export type PeakField = (typeof peakFields)[number];

/** Where the watch runs in a SLURM job, from its environment; each null where it is not known. */
export interface SlurmPlace {
  readonly jobId: string | null;
  readonly stepId: string | null;
  readonly nodeId: string | null;
  readonly nodeName: string | null;
  readonly procId: string | null;
  /** The task: the topmost process below slurmstepd. */
  readonly taskPid: number | null;
}

export interface WatchOptions {
  /** Pids whose trees are followed. */
  readonly roots: readonly number[];
  readonly command: readonly string[] | null;
  readonly intervalMs: number;
  readonly budgetPercent: number;
  readonly slurmFrequencyMs: number;
  readonly proctrack: Proctrack;
  readonly limitBytes: number | null;
  /** NAME=value by which orphans of the command are known. */
  readonly mark: string;
}

/** SLURM's ProctrackType: with the others a name with a space hides a process. */
export type Proctrack = 'cgroup' | 'linuxproc' | 'pgid';

export interface WatchReport {
  readonly completed: boolean;
  readonly options: Omit<WatchOptions, 'mark'>;
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
  readonly host: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly slurm: SlurmPlace | null;
  readonly processes: readonly WatchedProcess[];
  /** Ended, and smaller than all that are listed. */
  readonly forgottenProcesses: number;
  readonly unfollowedProcesses: number;
  readonly endedEarly: { readonly atLeast: number; readonly atMost: number | null };
  /** Sums of the peaks of those in the group, as in other reports; not of one moment. */
  readonly totals: Readonly<Record<PeakField, number | null>>;
  readonly footprint: ViewPeak;
  readonly cgroup: WatchedCgroup | null;
  readonly views: Readonly<Record<ViewName, ViewPeak>>;
  readonly blindSpots: readonly BlindSpot[];
  readonly limit: number | null;
  readonly verdicts: readonly Verdict[];
  readonly observer: {
    /** All of memdrift watch, Node's own start included. */
    readonly cpuMs: number;
    /** Since the first sample, with the log; and of this the sampler's thread. */
    readonly samplingCpuMs: number;
    readonly threadCpuMs: number;
    /** Of `samplingCpuMs`. */
    readonly percentOfCore: number;
    readonly rssBytes: number;
    readonly samples: number;
    readonly samplesMissed: number;
    readonly samplesDropped: number;
    readonly passes: number;
    readonly passesSkipped: number;
  };
}
