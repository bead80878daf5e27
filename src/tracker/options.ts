/** What a tracker can be told; the one list, for programs, the command line and the preload. */
import { MemdriftError } from '../errors.ts';

export interface TrackerOptions {
  /** Native frames beneath the JavaScript ones; default true. */
  readonly nativeStacks?: boolean;
  /**
   * The exact line of every JavaScript frame, and functions that V8 inlined; default false: these
   * are under the function they were compiled into. Costs some 3 us per new place in the code and
   * about 10 MB, which V8 takes for its own profiler.
   */
  readonly lines?: boolean;
  /**
   * Objects of the main thread's JavaScript heap as well, under the functions that made them, by
   * V8's sampling heap profiler; default false: the heap is the mappings that V8 took for it.
   */
  readonly jsHeap?: boolean;
  /** Between two rows of the memory series, in ms; default 10. */
  readonly intervalMs?: number;
  /**
   * Record one allocation in so many bytes, on average, and what it stands for; mappings are all
   * recorded. 0: every allocation. Default 0.
   */
  readonly sampleBytes?: number;
  /** The capture is closed, whole, when it reaches this; default none. */
  readonly maxBytes?: number;
  /** What the process is in its program: main, worker, client 3. Default: main. */
  readonly role?: string;
  /**
   * Node programs that this one starts while it is tracked have captures beside its own, named by
   * role, pid and time; default false.
   */
  readonly children?: boolean;
  /**
   * Whether the capture has the program's arguments; default true. With false it has the name only,
   * for arguments that readers of the capture may not see.
   */
  readonly commandLine?: boolean;
  /** Do not track until start(); default false. */
  readonly paused?: boolean;
}

/** Options with every default filled in; sizes in bytes, times in ms. */
export interface KnownTrackerOptions {
  readonly nativeStacks: boolean;
  readonly lines: boolean;
  readonly jsHeap: boolean;
  readonly intervalMs: number;
  readonly sampleBytes: number;
  readonly maxBytes: number;
  readonly children: boolean;
  readonly commandLine: boolean;
  readonly role: string;
}

const defaults: KnownTrackerOptions = {
  nativeStacks: true,
  lines: false,
  jsHeap: false,
  intervalMs: 10,
  sampleBytes: 0,
  maxBytes: 0,
  children: false,
  commandLine: true,
  role: 'main',
};

/** @throws MemdriftError ERR_INVALID with the option's name, its value and what it may be. */
export function checkedTrackerOptions(options: TrackerOptions): KnownTrackerOptions {
  const { paused: _paused, ...given } = options;
  const all = { ...defaults, ...given };
  checkNumber('intervalMs', all.intervalMs, { min: 1, max: 3_600_000 });
  checkNumber('sampleBytes', all.sampleBytes, { min: 0, max: 2 ** 40 });
  checkNumber('maxBytes', all.maxBytes, { min: 0, max: Number.MAX_SAFE_INTEGER });
  for (const name of ['nativeStacks', 'lines', 'jsHeap', 'children', 'commandLine'] as const) {
    if (typeof all[name] !== 'boolean') throw invalid(name, all, 'true or false');
  }
  // By these V8's own mappings are known, which would be counted twice.
  if (all.jsHeap && !all.nativeStacks) throw invalid('nativeStacks', all, 'true with jsHeap');
  if (typeof all.role !== 'string' || all.role.length > 200) {
    throw invalid('role', all, 'a text of at most 200 characters');
  }
  return all;
}

function checkNumber(
  name: 'intervalMs' | 'maxBytes' | 'sampleBytes',
  value: unknown,
  { min, max }: { min: number; max: number },
): void {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw invalid(name, { [name]: value }, `a whole number from ${min} to ${max}`);
}

function invalid(
  name: keyof KnownTrackerOptions,
  given: Partial<Record<keyof KnownTrackerOptions, unknown>>,
  allowed: string,
): MemdriftError {
  return new MemdriftError(
    'ERR_INVALID',
    `${name} is ${String(given[name])}; it takes ${allowed}`,
    {
      [name]: given[name],
    },
  );
}
