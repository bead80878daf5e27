/** A watch: a sampler over a tree, what accountants will say of it, and the log of both. */
import { hostname, release, totalmem } from 'node:os';
import { isMemdriftError } from '../errors.ts';
import { readCounters } from '../proc/counters.ts';
import { type Sample, Sampler, type SamplerReport } from '../proc/sampler.ts';
import type { CgroupEye } from './cgroup_eye.ts';
import { Views, type ViewsNow } from './views.ts';
import type { WatchLog } from './watch_log.ts';
import {
  type PeakField,
  peakFields,
  type SlurmPlace,
  type WatchedProcess,
  type WatchOptions,
  type WatchReport,
} from './watch_model.ts';

export interface WatchHooks {
  readonly log?: WatchLog | null;
  readonly slurm?: SlurmPlace | null;
  /** Looked at with the samples; null: there is no cgroup to look at. */
  readonly cgroup?: CgroupEye | null;
  /** Returns whether a process belongs to the watch itself, as this one does. */
  readonly isHelper?: (one: Pick<WatchedProcess, 'pid' | 'startTimeTicks'>) => boolean;
}

/** The newest figures of a watch that goes on. */
export interface WatchNow {
  readonly sample: Sample;
  readonly views: ViewsNow;
  /** Since 1970, of the sampler's beginning. */
  readonly startedAtMs: number;
  readonly isInGroup: (pid: number) => boolean;
  /** Of all samples so far. */
  readonly peaks: () => WatchReport['views'];
}

/** CPU time for passes at the beginning: programs grow most in their first seconds. */
const startCreditMs = 100;

export class Watch {
  readonly #options: WatchOptions;
  readonly #hooks: WatchHooks;
  readonly #views: Views;
  readonly #sampler: Sampler;
  readonly #startedAtMs: number;
  readonly #cpuMsBefore: number;
  readonly #isOutside: boolean;
  #last: Sample | null = null;
  #firstAtMs = Number.POSITIVE_INFINITY;
  #onEmpty: (() => void) | null = null;

  /** Begins at once. A root that has ended already is counted as ended early. */
  constructor(options: WatchOptions, hooks: WatchHooks = {}) {
    const { user, system } = process.cpuUsage();
    this.#cpuMsBefore = (user + system) / 1000;
    this.#options = options;
    this.#hooks = hooks;
    // Inside of a job the scheduler counts the watch too; elsewhere it is no part of what it sees.
    this.#isOutside = hooks.slurm?.taskPid == null;
    this.#views = new Views({ ...options, outside: this.#isOutside ? [process.pid] : [] });
    this.#sampler = this.#begin();
    this.#startedAtMs = Date.now();
    this.#writeHeader();
    this.#sampler.on('sample', (sample) => this.#take(sample));
  }

  /** Follows one more tree: a step of the job that has begun, a process that came to the cgroup. */
  addRoot(pid: number): void {
    this.#views.addRoot(pid);
    if (isThere(pid)) this.#sampler.add(pid);
  }

  /** Null before the first sample. For whoever serves the figures of a running watch. */
  current(): WatchNow | null {
    const views = this.#views.current;
    if (this.#last === null || views === null) return null;
    return {
      sample: this.#last,
      views,
      startedAtMs: this.#startedAtMs,
      isInGroup: (pid) => this.#views.isInGroup(pid),
      peaks: () => this.#views.peaks(),
    };
  }

  /** When a sample finds nothing left of what is watched. */
  whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends it. `exit`: how the command ended, where one was started. */
  async stop(exit: WatchReport['exit']): Promise<WatchReport> {
    const report = this.#report(await this.#sampler.stop(), exit);
    this.#hooks.log?.close(report);
    return report;
  }

  /** With all roots from the first sample on: one without them would say that nothing is left. */
  #begin(): Sampler {
    const { roots, command, mark, intervalMs, budgetPercent, limitBytes } = this.#options;
    // A command has called exec since the fork, and is followed with all of its descendants.
    const isClosed = command !== null;
    const own = { tree: true, startCreditMs, ownPasses: !this.#isOutside, isClosed, limitBytes };
    while (true) {
      const pids = ['self' as const, ...roots.filter(isThere)];
      try {
        return new Sampler({ pids, mark, intervalMs, budgetPercent, ...own });
      } catch (error) {
        // One ended since it was asked for.
        if (!isMemdriftError(error, 'ERR_GONE')) throw error;
      }
    }
  }

  #writeHeader(): void {
    const { mark: _mark, roots, command, ...options } = this.#options;
    this.#hooks.log?.header({
      startedAtMs: this.#startedAtMs,
      command,
      roots,
      options,
      slurm: this.#hooks.slurm ?? null,
      kernel: release(),
      memoryBytes: totalmem(),
    });
  }

  #take(whole: Sample): void {
    const sample = { ...whole, processes: whole.processes.filter((one) => this.#isShown(one)) };
    const isAlive = sample.processes.some(({ pid }) => pid !== process.pid);
    const now = this.#views.add(sample, this.#hooks.cgroup?.look() ?? null);
    this.#last = sample;
    this.#firstAtMs = Math.min(this.#firstAtMs, sample.atMs);
    this.#hooks.log?.sample(sample, now, (pid) => this.#views.isInGroup(pid));
    if (!isAlive) this.#onEmpty?.();
  }

  #report(native: SamplerReport, exit: WatchReport['exit']): WatchReport {
    const { mark: _mark, ...options } = this.#options;
    const shown = native.processes.filter((one) => this.#isShown(one));
    const processes = shown.map((one) => this.#processOf(one));
    const views = this.#views.peaks();
    const { user, system } = process.cpuUsage();
    const cpuMs = (user + system) / 1000;
    const samplingCpuMs = cpuMs - this.#cpuMsBefore;
    const { cpuMs: threadCpuMs, wallMs, percentOfCore: _thread, ...counts } = native.observer;
    return {
      completed: true,
      options,
      exit,
      host: hostname(),
      startedAtMs: this.#startedAtMs,
      durationMs: wallMs,
      slurm: this.#hooks.slurm ?? null,
      processes: processes.sort((a, b) => (b.peak.rssBytes ?? 0) - (a.peak.rssBytes ?? 0)),
      forgottenProcesses: native.forgottenProcesses,
      unfollowedProcesses: native.unfollowedProcesses,
      endedEarly: native.endedEarly,
      totals: totalsOf(processes.filter(({ inGroup }) => inGroup)),
      footprint: views.footprint,
      cgroup: this.#hooks.cgroup?.report() ?? null,
      views,
      blindSpots: this.#views.blindSpots(peaksOf(processes.filter((one) => this.#isNew(one)))),
      limit: options.limitBytes,
      verdicts: this.#views.verdicts(),
      observer: {
        cpuMs,
        threadCpuMs,
        samplingCpuMs,
        percentOfCore: (100 * samplingCpuMs) / wallMs,
        rssBytes: process.memoryUsage.rss(),
        ...counts,
      },
    };
  }

  /** Within a job the watch's helper counts as the watch does; otherwise it is left out. */
  #isShown(one: Pick<WatchedProcess, 'pid' | 'startTimeTicks'>): boolean {
    return !this.#isOutside || this.#hooks.isHelper?.(one) !== true;
  }

  /** VmHWM of what was there before the watch may be of a time before it. */
  #isNew({ inGroup, beganAtMs }: WatchedProcess): boolean {
    return inGroup && (this.#options.command !== null || (beganAtMs ?? 0) > this.#firstAtMs);
  }

  #processOf(one: SamplerReport['processes'][number]): WatchedProcess {
    const { pid, parentPid, name, startTimeTicks, beganAtMs, endedAtMs, samples, passes } = one;
    const peak = {} as Record<PeakField, number | null>;
    for (const field of peakFields) peak[field] = one.peak[field]?.bytes ?? null;
    const isWatch = pid === process.pid;
    const who = { pid, parentPid, name, startTimeTicks };
    const inGroup = this.#views.isInGroup(pid);
    return { ...who, beganAtMs, endedAtMs, samples, passes, peak, isWatch, inGroup };
  }
}

/** A child that has ended is known to the sampler without being named: as one that ended early. */
function isThere(pid: number): boolean {
  try {
    return !'ZX'.includes(readCounters(pid).state);
  } catch (error) {
    if (isMemdriftError(error, 'ERR_GONE')) return false;
    throw error;
  }
}

function totalsOf(processes: readonly WatchedProcess[]): Record<PeakField, number | null> {
  const totals = {} as Record<PeakField, number | null>;
  for (const field of peakFields) {
    const peaks = processes.flatMap(({ peak }) => peak[field] ?? []);
    // Sums of peaks of PSS and USS are of those that smaps was read for; none of them is none.
    totals[field] = peaks.length === 0 ? null : peaks.reduce((sum, bytes) => sum + bytes, 0);
  }
  return totals;
}

function peaksOf(
  processes: readonly WatchedProcess[],
): Map<number, { name: string; bytes: number }> {
  const peaks = new Map<number, { name: string; bytes: number }>();
  for (const { pid, name, peak } of processes)
    if (peak.rssBytes !== null) peaks.set(pid, { name, bytes: peak.rssBytes });
  return peaks;
}
