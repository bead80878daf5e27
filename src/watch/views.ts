/** What each accountant will say of a group, out of the samples of its life: no I/O. */
import type { Exactness } from '../proc/exactness.ts';
import type { GroupBounds, Sample } from '../proc/sampler.ts';
import { BlindSpots } from './blind_spots.ts';
import { type CgroupLook, CgroupMeter } from './cgroup_meter.ts';
import {
  slurmDefault,
  slurmNoShared,
  type TreeRules,
  type TreeView,
  treeOf,
} from './group_sums.ts';
import { LateSums, type Sums } from './late_sums.ts';
import { type Estimate, known, type MeterPeak, PeakMeter, PhaseMeter } from './meters.ts';
import { RssBetween } from './rss_between.ts';
import { Swings } from './swings.ts';
import { UsePss } from './use_pss.ts';
import {
  type BlindSpot,
  type Proctrack,
  type Verdict,
  type ViewName,
  type ViewPeak,
  viewNames,
} from './watch_model.ts';

export interface ViewsOptions {
  readonly roots: Iterable<number>;
  /** Followed, but not of the group. */
  readonly outside: Iterable<number>;
  readonly intervalMs: number;
  readonly slurmFrequencyMs: number;
  readonly proctrack: Proctrack;
  readonly limitBytes: number | null;
}

/** The views at one moment; null where one is not known. */
export type ViewsNow = Readonly<Record<ViewName, number | null>>;

/** Part of the limit within which nobody can tell. */
const closeness = 0.02;

const exactnessOf: Readonly<Record<ViewName, Exactness>> = {
  sumRss: 'kernel',
  sumPss: 'estimated',
  footprint: 'estimated',
  slurmDefault: 'sampled',
  slurmNoShared: 'sampled',
  slurmUsePss: 'estimated',
  slurmCgroup: 'sampled',
  cgroup: 'kernel',
};

/** What is made of PSS: a read of smaps also tells what was before it. */
const lateViews = ['sumPss', 'footprint', 'slurmUsePss'] as const;
type LateView = (typeof lateViews)[number];

const isLate = (name: ViewName): boolean => (lateViews as readonly ViewName[]).includes(name);

/** Views that are sums over the processes of the group. */
type GroupView = Exclude<ViewName, 'cgroup' | 'slurmCgroup'>;

const unknownSums: Readonly<Record<GroupView, null>> = {
  sumRss: null,
  sumPss: null,
  footprint: null,
  slurmDefault: null,
  slurmNoShared: null,
  slurmUsePss: null,
};

type Meters = Readonly<Record<Exclude<ViewName, 'cgroup'>, PeakMeter | PhaseMeter>>;

/** Takes samples one after another; what it says is of those that it was given. */
export class Views {
  readonly #roots: Set<number>;
  readonly #outside: Set<number>;
  readonly #limit: number | null;
  readonly #proctrack: Proctrack;
  readonly #meters: Meters;
  readonly #blindSpots = new BlindSpots();
  readonly #usePss = new UsePss();
  readonly #rss = new RssBetween();
  readonly #swings = { default: new Swings(), noShared: new Swings() };
  readonly #late = new LateSums<LateView>((atMs, sums) => this.#takeLate(atMs, sums));
  readonly #cgroup: CgroupMeter;
  #hasSeenGroup = false;
  #now: ViewsNow | null = null;

  constructor(options: ViewsOptions) {
    this.#roots = new Set(options.roots);
    this.#outside = new Set(options.outside);
    this.#limit = options.limitBytes;
    this.#proctrack = options.proctrack;
    this.#cgroup = new CgroupMeter(options.limitBytes);
    const sampled = (): PhaseMeter =>
      new PhaseMeter({ ...options, periodMs: options.slurmFrequencyMs });
    const always = (): PeakMeter => new PeakMeter(options.limitBytes);
    this.#meters = {
      sumRss: always(),
      sumPss: always(),
      footprint: always(),
      slurmDefault: sampled(),
      slurmNoShared: sampled(),
      slurmUsePss: sampled(),
      slurmCgroup: sampled(),
    };
  }

  #takeLate(atMs: number, sums: Sums<LateView>): void {
    for (const name of lateViews) this.#meters[name].add(atMs, sums[name]);
  }

  addRoot(pid: number): void {
    this.#roots.add(pid);
  }

  /** The views at this sample, which `current` has until the next one. */
  add(sample: Sample, cgroup: CgroupLook | null = null): ViewsNow {
    const tree = treeOf(sample.processes, this.#rules());
    this.#blindSpots.add(tree);
    const { atMs } = sample;
    const group = this.#groupSums(sample, tree);
    const estimates: Record<ViewName, Estimate | null> = {
      ...(group ?? unknownSums),
      slurmCgroup: cgroup && orNull(cgroup.version === 1 ? cgroup.anonBytes : cgroup.currentBytes),
      cgroup: cgroup && orNull(cgroup.currentBytes),
    };
    if (cgroup !== null) this.#cgroup.add(atMs, cgroup);
    const now = {} as Record<ViewName, number | null>;
    for (const name of viewNames) {
      const estimate = estimates[name];
      now[name] = name === 'sumRss' && group ? rssNow(tree) : (estimate?.value ?? null);
      if (estimate === null || name === 'cgroup' || isLate(name)) continue;
      this.#meters[name].add(atMs, estimate);
    }
    if (group !== null) this.#late.add(atMs, tree.group, group);
    this.#now = now;
    return now;
  }

  /** Null until a sample has a process of the group: before that its sums are unknown, not 0. */
  #groupSums(sample: Sample, tree: TreeView): Sums<GroupView> | null {
    this.#hasSeenGroup ||= tree.group.length > 0;
    if (!this.#hasSeenGroup) return null;
    const { atMs, group } = sample;
    const sumRss = this.#rss.sum(tree.group, sample);
    return {
      sumRss,
      sumPss: estimateOf(group.pss),
      footprint: estimateOf(group.footprint),
      slurmDefault: this.#swings.default.sum(atMs, slurmDefault(tree)),
      slurmNoShared: this.#swings.noShared.sum(atMs, slurmNoShared(tree)),
      slurmUsePss: this.#usePss.sum(sample, tree, sumRss.high),
    };
  }

  get current(): ViewsNow | null {
    return this.#now;
  }

  /** Whether a process of the last samples counts. */
  isInGroup(pid: number): boolean {
    return !this.#outside.has(pid);
  }

  peaks(): Readonly<Record<ViewName, ViewPeak>> {
    const peaks = {} as Record<ViewName, ViewPeak>;
    for (const name of viewNames) {
      const { peakBytes, atMs, rangeBytes } = this.#result(name);
      const isSampled = name === 'cgroup' && !this.#cgroup.hasKernelPeak();
      const exactness = isSampled ? 'sampled' : exactnessOf[name];
      peaks[name] = { peakBytes, atMs, exactness, rangeBytes };
    }
    return peaks;
  }

  verdicts(): Verdict[] {
    const limit = this.#limit;
    if (limit === null) return [];
    return viewNames.flatMap((view) => {
      const result = view === 'cgroup' ? this.#cgroup.held() : this.#result(view);
      return result.rangeBytes === null ? [] : [verdictOf(view, result, limit)];
    });
  }

  /** `peaks`: VmHWM of processes, by pid, for what no sample has seen. */
  blindSpots(peaks: ReadonlyMap<number, { name: string; bytes: number }>): BlindSpot[] {
    return this.#blindSpots.list(peaks, this.#proctrack);
  }

  #result(name: ViewName): MeterPeak {
    this.#late.flush();
    return name === 'cgroup' ? this.#cgroup.charged() : this.#meters[name].result();
  }

  #rules(): TreeRules {
    return { roots: this.#roots, outside: this.#outside, proctrack: this.#proctrack };
  }
}

/**
 * Returns the sum at this look alone. The estimate also has the highest values since the look
 * before.
 */
function rssNow({ group }: TreeView): number {
  return group.reduce((sum, { rssBytes }) => sum + (rssBytes ?? 0), 0);
}

function orNull(bytes: number | null): Estimate | null {
  return bytes === null ? null : known(bytes);
}

/** The value at a look, and the most since the look before. */
function estimateOf({ valueBytes, rangeBytes, mostBetweenBytes }: GroupBounds): Estimate {
  const [low, high] = rangeBytes;
  return { value: valueBytes, low, high: Math.max(high, mostBetweenBytes) };
}

/** Certain only where all that the accountant may say is 2 % of the limit apart from it. */
function verdictOf(view: ViewName, result: MeterPeak, limit: number): Verdict {
  const [low, high] = result.rangeBytes as readonly [number, number];
  const byBytes = result.peakBytes === null ? null : result.peakBytes - limit;
  const { earliest, latest } = result.passedMs;
  if (low > limit * (1 + closeness)) return { view, kills: 'yes', atMs: latest, byBytes };
  if (high < limit * (1 - closeness)) return { view, kills: 'no', atMs: null, byBytes };
  return { view, kills: 'too-close', atMs: earliest, byBytes };
}
