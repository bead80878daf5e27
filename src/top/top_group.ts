/** A group of processes that is looked at again and again: what `memdrift top` shows. */
import { isMemdriftError } from '../errors.ts';
import { commandOf } from '../group/command_line.ts';
import type { GroupSegment } from '../group/group_model.ts';
import { type PassResult, type Sample, Sampler } from '../proc/sampler.ts';
import { NewMembers } from './group_members.ts';
import { SegmentWatch } from './segment_watch.ts';
import type { TopModel, TopMoment, TopProcess, TopTotals } from './top_model.ts';

export interface TopOptions {
  /** These and all that descend from them; none: all of this user's, for root everybody's. */
  readonly pids: readonly number[];
  readonly intervalMs: number;
  /** For PSS and USS, and as much again at most for who maps what: percent of one core. */
  readonly budgetPercent: number;
  /** Files that count though no process of the group may hold them, beside those that one does. */
  readonly segments: readonly string[] | null;
}

type SampledProcess = Sample['processes'][number];

/** So that there is something to see at once: CPU time for the first look at smaps. */
const startCreditMs = 300;
/** Between two looks for processes that descend from none that is followed. */
const memberLooksMs = 2000;
/** Of the time, for reading who maps which segment. */
const segmentShare = 0.002;
const mostMoments = 7200;

export class TopGroup {
  readonly #options: TopOptions;
  readonly #sampler: Sampler;
  readonly #segments: SegmentWatch;
  readonly #newMembers: NewMembers | null;
  readonly #commands = new Map<number, { readonly key: string; readonly command: string | null }>();
  readonly #history: TopMoment[] = [];
  readonly #startCpu = process.cpuUsage();
  readonly #startMs = performance.now();
  #soughtAtMs = 0;
  #followed: ReadonlySet<number> = new Set();

  /** @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_INVALID, ERR_UNSUPPORTED */
  constructor(options: TopOptions) {
    const { pids, intervalMs, budgetPercent, segments } = options;
    this.#options = options;
    this.#segments = new SegmentWatch(segments, segmentShare);
    this.#newMembers = pids.length === 0 ? new NewMembers(process.geteuid?.() ?? 0) : null;
    this.#sampler = new Sampler({ pids, tree: true, intervalMs, budgetPercent, startCreditMs });
    this.#seekMembers();
  }

  /** Calls back after every tick, until the end. */
  watch(onLook: (model: TopModel) => void): void {
    this.#sampler.on('sample', (sample) => {
      this.#followed = new Set(sample.processes.map(({ pid }) => pid));
      if (performance.now() - this.#soughtAtMs > memberLooksMs) this.#seekMembers();
      void this.#segments.readSome(sample.processes);
      onLook(this.#modelOf(sample, null));
    });
  }

  /** One look with everything in it, whatever it costs. */
  async lookOnce(): Promise<TopModel> {
    // A sampler lets the program end while somebody waits for a sample of it.
    const hold = setInterval(() => {}, 60_000);
    try {
      const pass = await this.#sampler.pass();
      const sample = await new Promise<Sample>((resolve) => {
        this.#sampler.on('sample', resolve);
      });
      const seen = new Set(pass.processes.map(({ pid }) => pid));
      const processes = sample.processes.filter(({ pid }) => seen.has(pid));
      await this.#segments.readAll(processes);
      return this.#modelOf({ ...sample, processes }, pass);
    } finally {
      clearInterval(hold);
    }
  }

  async close(): Promise<void> {
    await this.#sampler.stop();
  }

  #seekMembers(): void {
    this.#soughtAtMs = performance.now();
    for (const pid of this.#newMembers?.find(this.#followed) ?? []) {
      try {
        this.#sampler.add(pid);
      } catch (error) {
        // It has ended since it was listed, or is hidden.
        if (!isMemdriftError(error, 'ERR_GONE') && !isMemdriftError(error, 'ERR_DENIED'))
          throw error;
      }
    }
  }

  #modelOf(sample: Sample, pass: PassResult | null): TopModel {
    const shares = new Map(pass?.processes.map((one) => [one.pid, one]) ?? []);
    const processes = sample.processes.map((one) => {
      const { pssBytes, ussBytes } = shares.get(one.pid) ?? one;
      return { ...this.#processOf(one, sample.atMs), pssBytes, ussBytes };
    });
    const segments = this.#segments.segments(sample.processes);
    const totals = {
      ...totalsOf(processes, segments, pass === null ? 'estimated' : 'exact'),
      ...rangesOf(sample, segments),
    };
    const { rssBytes, footprintBytes } = totals;
    this.#forgetCommands(processes);
    this.#history.push({ atMs: sample.atMs, rssBytes, footprintBytes });
    if (this.#history.length > mostMoments) this.#history.shift();
    const { user, system } = process.cpuUsage(this.#startCpu);
    const wallMs = performance.now() - this.#startMs;
    return {
      pids: this.#options.pids,
      group: groupName(this.#options.pids),
      atMs: sample.atMs,
      timeMs: Date.now(),
      processes,
      totals,
      segments,
      history: this.#history.slice(),
      ended: sample.lostProcesses,
      ownCpuPercent: (user + system) / 10 / wallMs,
    };
  }

  #processOf(one: SampledProcess, nowMs: number): TopProcess {
    const { pid, parentPid, name, rssBytes, rssAnonBytes, rssFileBytes, rssShmemBytes } = one;
    return {
      pid,
      parentPid,
      name,
      command: this.#commandOf(one),
      rssBytes,
      rssAnonBytes,
      rssFileBytes,
      rssShmemBytes,
      swapBytes: one.swapBytes,
      pssBytes: one.pssBytes,
      ussBytes: one.ussBytes,
      sharesAgeMs: one.passedAtMs === null ? null : Math.max(0, nowMs - one.passedAtMs),
      isDenied: one.denied,
      isSelf: pid === process.pid,
    };
  }

  #forgetCommands(processes: readonly TopProcess[]): void {
    if (this.#commands.size < 2 * processes.length + 100) return;
    const live = new Set(processes.map(({ pid }) => pid));
    for (const pid of this.#commands.keys()) if (!live.has(pid)) this.#commands.delete(pid);
  }

  /** Asked again when it is another process or another program. */
  #commandOf({ pid, name, startTimeTicks }: SampledProcess): string | null {
    const key = `${startTimeTicks} ${name}`;
    const known = this.#commands.get(pid);
    if (known?.key === key) return known.command;
    const command = commandOf(pid);
    this.#commands.set(pid, { key, command });
    return command;
  }
}

function groupName(pids: readonly number[]): string {
  if (pids.length > 0) return `the tree of ${pids.join(', ')}`;
  return process.geteuid?.() === 0 ? 'everybody' : 'this user';
}

type Sizes = 'rssBytes' | 'rssAnonBytes' | 'rssFileBytes' | 'rssShmemBytes' | 'swapBytes';

function totalsOf(
  processes: readonly TopProcess[],
  segments: readonly GroupSegment[],
  footprintExactness: TopTotals['footprintExactness'],
): Omit<TopTotals, 'pssRangeBytes' | 'footprintRangeBytes' | 'readAtMs'> {
  const known = (name: Sizes | 'pssBytes' | 'ussBytes'): number =>
    processes.reduce((sum, process) => sum + (process[name] ?? 0), 0);
  const whole = (name: 'pssBytes' | 'ussBytes'): number | null =>
    processes.some((process) => process[name] === null) ? null : known(name);
  const pssBytes = whole('pssBytes');
  const unmapped = segments.reduce((sum, segment) => sum + (segment.chargedBytes ?? 0), 0);
  const isWhole = segments.every((segment) => segment.chargedBytes !== null);
  return {
    rssBytes: known('rssBytes'),
    rssAnonBytes: known('rssAnonBytes'),
    rssFileBytes: known('rssFileBytes'),
    rssShmemBytes: known('rssShmemBytes'),
    swapBytes: known('swapBytes'),
    pssBytes,
    ussBytes: whole('ussBytes'),
    footprintBytes: pssBytes !== null && isWhole ? pssBytes + unmapped : null,
    footprintExactness,
    knownPssBytes: known('pssBytes'),
    knownFootprintBytes: known('pssBytes') + unmapped,
    unknownPss: processes.filter((process) => process.pssBytes === null).length,
  };
}

/**
 * The sampler's footprint has all pages of the files of /dev/shm that the group maps. Here other
 * processes may own a part of them, and some memory files have no process that maps them.
 */
function rangesOf(
  sample: Sample,
  segments: readonly GroupSegment[],
): Pick<TopTotals, 'pssRangeBytes' | 'footprintRangeBytes' | 'readAtMs'> {
  const { pss, footprint, readAtMs } = sample.group;
  const known = new Set(sample.segments.map(({ path }) => path));
  let [others, more] = [0, 0];
  for (const { name, residentBytes, outsideHolders } of segments) {
    if (outsideHolders > 0) others += residentBytes ?? 0;
    if (!known.has(name)) more += residentBytes ?? 0;
  }
  const [low, high] = footprint.rangeBytes;
  const least = Math.max(pss.rangeBytes[0], low - others);
  return { pssRangeBytes: pss.rangeBytes, footprintRangeBytes: [least, high + more], readAtMs };
}
