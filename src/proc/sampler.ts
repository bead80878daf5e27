import { EventEmitter } from 'node:events';
import { binding } from '../binding.ts';
import type {
  NativeBounds,
  NativePass,
  NativePeak,
  NativeSample,
  NativeSamplerReport,
  SamplerHandle,
} from '../door_sampler.ts';
import { MemdriftError } from '../errors.ts';
import { nativePid, type Pid } from './arguments.ts';

export interface SamplerOptions {
  readonly pids?: readonly Pid[];
  /** Between two looks at the counters; 10 to 3,600,000. Default 100. */
  readonly intervalMs?: number;
  /**
   * CPU time of the sampler's thread, percent of one core, 0 to 100; ticks and requested passes
   * count too. With 0 there are only requested passes. Default 1.
   */
  readonly budgetPercent?: number;
  /** Files of shared memory that the group owns: their resident pages count once, mapped or not. */
  readonly segments?: readonly string[];
  /**
   * Also all that descend from `pids`, found as they are made; what lives for two intervals is
   * never missed. What ended sooner is counted in `endedEarly`. Files of /dev/shm that they map
   * become `segments` at a pass. Default false.
   */
  readonly tree?: boolean;
  /**
   * For a tree: NAME=value that its processes have in their environment, by which those are known
   * that lost their parent before it was seen. Default none: by process group and session.
   */
  readonly mark?: string;
  /** CPU time that passes have at the beginning, out of what the budget gives later. Default 0. */
  readonly startCreditMs?: number;
  /** Whether passes look at this process too, if it is followed. Default true. */
  readonly ownPasses?: boolean;
  /**
   * True when no outside process shares memory with these by fork, as for a program with all of its
   * descendants. Otherwise outside processes may come to share, or stop sharing, their pages.
   * Default false.
   */
  readonly isClosed?: boolean;
  /** Passes are preferred while the bounds contain this limit. Default none. */
  readonly limitBytes?: number | null;
}

/**
 * One look at the counters; times are milliseconds since the sampler began, null is not known.
 * `group` has PSS, USS and footprint with bounds (docs/bounds.md); `footprintBytes` is its value.
 */
export type Sample = NativeSample;

/** Low, value and high of one figure of a group. */
export type GroupBounds = NativeBounds;

/**
 * One look at smaps of every process; sums are null when the kernel shows one of them not
 * (`unknownPids`). `footprintBytes`: the sum of Pss, less that of the segments' pages, plus the
 * pages that the segments have. Processes are read one after another, so not at one instant.
 */
export type PassResult = NativePass & { readonly label: string };

/** A high-water mark. `atMs` is null where the kernel kept the peak (VmHWM) but not its time. */
export type PeakValue = NativePeak;

/**
 * What the sampler saw. RSS peaks are the kernel's since the process began (its counters are exact
 * within some 100 kB per CPU), shared and RssAnon those of the samples, PSS and USS those of the
 * passes. `endedAtMs`: when a process was found ended; what it did since the last look is lost.
 */
export type SamplerReport = NativeSamplerReport;

const defaultIntervalMs = 100;
const defaultBudgetPercent = 1;

/**
 * Follows the memory of processes from a native thread, which begins at once and goes on until
 * `stop()`. It does not keep the program running; a pass or a stop that is awaited does.
 */
export class Sampler {
  readonly #handle: SamplerHandle;
  readonly #events = new EventEmitter<{ sample: [Sample] }>();
  #stopped: Promise<SamplerReport> | null = null;

  /** @throws MemdriftError ERR_INVALID, ERR_GONE (no such process), ERR_DENIED, ERR_UNSUPPORTED */
  constructor(options: SamplerOptions = {}) {
    const { pids = [], segments = [] } = options;
    for (const path of segments) checkPath(path);
    const native = {
      pids: pids.map(pidOf),
      intervalMs: inRange('intervalMs', options.intervalMs ?? defaultIntervalMs, [10, 3_600_000]),
      budgetPercent: inRange(
        'budgetPercent',
        options.budgetPercent ?? defaultBudgetPercent,
        [0, 100],
      ),
      segments,
      tree: options.tree ?? false,
      mark: checkedMark(options.mark ?? ''),
      ownPasses: options.ownPasses ?? true,
      isClosed: options.isClosed ?? false,
      limitBytes: options.limitBytes ?? null,
      startCreditMs: inRange('startCreditMs', options.startCreditMs ?? 0, [0, 60_000]),
    };
    this.#handle = binding().samplerStart(native, (sample) => this.#deliver(sample));
  }

  /**
   * Follows one more process from the next tick; 20 us. Nothing happens if it is followed already.
   * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_INVALID, ERR_CLOSED
   */
  add(pid: Pid): void {
    this.#assertOpen();
    binding().samplerAdd(this.#handle, pidOf(pid));
  }

  /** Follows a process no more; its peaks stay in the report. @throws MemdriftError ERR_CLOSED */
  remove(pid: Pid): void {
    this.#assertOpen();
    binding().samplerRemove(this.#handle, pidOf(pid));
  }

  on(event: 'sample', listener: (sample: Sample) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  off(event: 'sample', listener: (sample: Sample) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  /**
   * A look at smaps of every process, begun at once whatever the budget; about 10 ms per mapped GB,
   * off the event loop. A process that ends meanwhile is left out and counted in `lostProcesses`.
   * @throws MemdriftError ERR_CLOSED after stop(), or when stop() comes before the pass is done.
   */
  async pass(label = ''): Promise<PassResult> {
    this.#assertOpen();
    return { label, ...(await binding().samplerPass(this.#handle)) };
  }

  /** Ends the thread, after the smaps that it is reading. Later calls give the same report. */
  stop(): Promise<SamplerReport> {
    this.#stopped ??= binding().samplerStop(this.#handle);
    return this.#stopped;
  }

  #deliver(sample: Sample): void {
    try {
      this.#events.emit('sample', sample);
    } catch (error) {
      // Thrown into native code it would end in a warning; here it is an uncaught exception.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #assertOpen(): void {
    if (this.#stopped === null) return;
    throw new MemdriftError('ERR_CLOSED', 'This sampler was stopped. Make a new one.');
  }
}

/** A report names processes by number, this one too. */
function pidOf(pid: Pid): number {
  return nativePid(pid === 'self' ? process.pid : pid);
}

function inRange(name: string, value: number, [least, most]: [number, number]): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new MemdriftError(
    'ERR_INVALID',
    `${name} is ${String(value)}; it must be a number from ${least} to ${most}.`,
    { [name]: value },
  );
}

function checkPath(path: string): void {
  if (typeof path === 'string' && path.startsWith('/') && !path.includes('\0')) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `Segment ${JSON.stringify(path)} is not an absolute path of a file, such as /dev/shm/name.`,
    { path },
  );
}

function checkedMark(mark: string): string {
  if (mark === '' || /^[^=\0]+=[^\0]*$/.test(mark)) return mark;
  throw new MemdriftError('ERR_INVALID', `mark ${JSON.stringify(mark)} is not NAME=value.`, {
    mark,
  });
}
