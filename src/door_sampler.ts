/** The sampler's part of what native/door/ exports, with types; the rest is in door.ts. */

/** native/door/sampler_door.cc. After samplerStop every call throws ERR_CLOSED. */
export interface SamplerBinding {
  /** Starts a thread; `onSample` is called on the environment's thread. */
  samplerStart(
    options: {
      readonly pids: readonly number[];
      readonly intervalMs: number;
      readonly budgetPercent: number;
      readonly segments: readonly string[];
      readonly tree: boolean;
      /** NAME=value in the environment of what belongs to the tree; empty: there is none. */
      readonly mark: string;
      readonly startCreditMs: number;
      readonly ownPasses: boolean;
      readonly isClosed: boolean;
      readonly limitBytes: number | null;
    },
    onSample: (sample: NativeSample) => void,
  ): SamplerHandle;
  samplerAdd(sampler: SamplerHandle, pid: number): void;
  samplerRemove(sampler: SamplerHandle, pid: number): void;
  /** Rejects with ERR_CLOSED when the sampler is stopped before the pass is done. */
  samplerPass(sampler: SamplerHandle): Promise<NativePass>;
  samplerStop(sampler: SamplerHandle): Promise<NativeSamplerReport>;
}

declare const samplerBrand: unique symbol;
export type SamplerHandle = { readonly [samplerBrand]: true };

type NativeExactness = 'exact' | 'kernel' | 'sampled' | 'estimated';

export interface NativeSample {
  readonly atMs: number;
  readonly processes: readonly {
    readonly pid: number;
    readonly parentPid: number;
    /** As the process has set it by now. */
    readonly name: string;
    readonly startTimeTicks: number;
    readonly rssBytes: number | null;
    readonly rssAnonBytes: number | null;
    readonly rssFileBytes: number | null;
    readonly rssShmemBytes: number | null;
    readonly swapBytes: number | null;
    readonly sharedBytes: number | null;
    /** Field 24 of stat, approximate since Linux 6.2. */
    readonly statRssBytes: number | null;
    /** VmHWM: the kernel's high-water mark of RSS so far. */
    readonly peakRssBytes: number | null;
    readonly cpuMs: number | null;
    /** Estimated: that of the last pass, moved as the counters have moved since. */
    readonly pssBytes: number | null;
    /** As of the last pass. */
    readonly ussBytes: number | null;
    readonly passedAtMs: number | null;
    /** One page per fault since its start, minor and major. */
    readonly faultBytes: number | null;
    /** Bounds of its PSS, read or not. */
    readonly pssRangeBytes: NativeRange;
    /** The kernel does not show its smaps to us: PSS and USS stay null. */
    readonly denied: boolean;
  }[];
  readonly segments: readonly { readonly path: string; readonly residentBytes: number | null }[];
  readonly sumRssBytes: number;
  readonly footprintBytes: number | null;
  readonly footprintExactness: NativeExactness;
  readonly group: NativeGroup;
  readonly lostProcesses: number;
  readonly endedEarly: NativeEarlyEnds;
  /** Huge pages that the system has faulted in, mapped or collapsed since it started. */
  readonly hugeBytes: number | null;
  /** The most that one fault can add to a process, except huge pages. */
  readonly pagesPerFault: number;
}

type NativeRange = readonly [low: number, high: number];

/** One figure of a group of processes, with bounds that contain the truth. */
export interface NativeBounds {
  readonly valueBytes: number;
  readonly rangeBytes: NativeRange;
  /** Upper bound between the sample before and this one. */
  readonly mostBetweenBytes: number;
}

/** All processes together, except those that the sampler's passes leave out. */
export interface NativeGroup {
  readonly pss: NativeBounds;
  readonly uss: NativeBounds;
  readonly footprint: NativeBounds;
  /** Start of the pass that the bounds are based on; null before the first. */
  readonly readAtMs: number | null;
}

/** Processes of the tree that ended before a sample saw them. */
export interface NativeEarlyEnds {
  readonly atLeast: number;
  readonly atMost: number | null;
}

export interface NativePass {
  readonly atMs: number;
  readonly processes: readonly {
    readonly pid: number;
    readonly rssBytes: number | null;
    readonly pssBytes: number | null;
    readonly ussBytes: number | null;
    readonly swapBytes: number | null;
  }[];
  readonly segments: readonly { readonly path: string; readonly residentBytes: number | null }[];
  readonly unknownPids: readonly number[];
  readonly sumRssBytes: number | null;
  readonly sumPssBytes: number | null;
  readonly sumUssBytes: number | null;
  readonly footprintBytes: number | null;
  readonly footprintExactness: NativeExactness;
  readonly lostProcesses: number;
  readonly cpuMs: number;
}

export interface NativePeak {
  readonly bytes: number;
  readonly atMs: number | null;
  readonly exactness: NativeExactness;
  readonly samples: number;
}

export interface NativeSamplerReport {
  readonly processes: readonly {
    readonly pid: number;
    readonly parentPid: number;
    readonly name: string;
    readonly startTimeTicks: number;
    readonly beganAtMs: number | null;
    readonly samples: number;
    readonly passes: number;
    readonly endedAtMs: number | null;
    readonly denied: boolean;
    readonly peak: Readonly<
      Record<
        'rssBytes' | 'ussBytes' | 'pssBytes' | 'sharedBytes' | 'rssAnonBytes',
        NativePeak | null
      >
    >;
  }[];
  readonly segments: readonly {
    readonly path: string;
    readonly residentBytesPeak: number | null;
  }[];
  /** Ended, and smaller than all that are listed. */
  readonly forgottenProcesses: number;
  /** Of the tree, but could not be opened. */
  readonly unfollowedProcesses: number;
  readonly endedEarly: NativeEarlyEnds;
  readonly footprint: {
    readonly peakBytes: number | null;
    readonly atMs: number | null;
    readonly exactness: NativeExactness;
    /** The highest lower bound and the highest upper bound of all samples. */
    readonly rangeBytes: NativeRange | null;
    readonly sumRssBytesThen: number | null;
  };
  readonly lostProcesses: number;
  readonly observer: {
    readonly cpuMs: number;
    readonly wallMs: number;
    readonly percentOfCore: number;
    readonly samples: number;
    readonly samplesMissed: number;
    readonly samplesDropped: number;
    readonly passes: number;
    readonly passesSkipped: number;
  };
}
