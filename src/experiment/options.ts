/** The options of one run: what they mean, and how command-line flags become them. */
import { constants } from 'node:buffer';
import { readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { MemdriftError } from '../errors.ts';
import { canonicalFlagName, type NumberFlagName, numberFlags, textFlags } from './flags.ts';
import {
  checkedCaptureDir,
  checkedJsonFile,
  checkedTmpDir,
  defaultCaptureDir,
  defaultTmpDir,
} from './folders.ts';

/** The options of one run, validated; defaults and names are those of the original experiment. */
export interface ExperimentOptions {
  /** Size of each array in bytes. */
  readonly arraySizeBytes: number;
  /** Capacity of the store in bytes. */
  readonly storeBytes: number;
  /** The default capacity, if /dev/shm or memory could not hold it; null: `storeBytes` as asked. */
  readonly storeLoweredFromBytes: number | null;
  readonly timeoutMs: number;
  readonly pollIntervalMs: number;
  readonly clients: number;
  readonly rounds: number;
  /** How long a client works on (sleeps over) each array. */
  readonly workMs: number;
  /** Give up mappings at release, so that RSS falls while the store keeps its pages. */
  readonly trim: boolean;
  readonly placement: 'lowest' | 'rotate';
  readonly sampleIntervalMs: number;
  /** Percent of one core that smaps passes may cost. */
  readonly observerBudgetPercent: number;
  /** Absolute folder for series.jsonl and store.log. */
  readonly tmpDir: string;
  /** Absolute folder for captures, which is new or empty; null: none are written. */
  readonly captureDir: string | null;
  /** Where the JSON report goes; null: nowhere. */
  readonly jsonFile: string | null;
  readonly quiet: boolean;
}

/** Flags by name, in any spelling (also `arraySize`); undefined: not given. */
export type ExperimentFlags = Readonly<Record<string, string | number | boolean | undefined>>;

/** What of the system decides whether options can work. */
export interface ExperimentEnvironment {
  readonly cwd: string;
  readonly systemTmpDir: string;
  readonly userId: number;
  /** Size of the file system at /dev/shm. */
  readonly sharedMemoryBytes: number;
  readonly memoryBytes: number;
  readonly pageBytes: number;
  /** The longest ArrayBuffer of this Node. */
  readonly maxArrayBytes: number;
}

/**
 * Reads what the system has. @throws MemdriftError ERR_UNSUPPORTED where there is no /dev/shm or
 * /proc/meminfo.
 */
export function systemEnvironment(): ExperimentEnvironment {
  const cwd = currentFolder();
  try {
    const shm = statfsSync('/dev/shm');
    const memoryKb = /^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
    if (memoryKb === undefined) throw new Error('/proc/meminfo has no MemTotal');
    return {
      cwd,
      systemTmpDir: tmpdir(),
      userId: process.getuid?.() ?? 0,
      sharedMemoryBytes: shm.blocks * shm.bsize,
      memoryBytes: Number(memoryKb) * 1024,
      pageBytes: shm.bsize,
      maxArrayBytes: constants.MAX_LENGTH,
    };
  } catch (cause) {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `cannot tell the size of /dev/shm and of memory: ${(cause as Error).message}; ` +
        'the experiment needs Linux with /proc and /dev/shm mounted',
      { cause },
    );
  }
}

/**
 * Turns flags into options and checks all that can be checked before anything starts. The only
 * thing it makes is the fallback folder in the system's temp folder.
 * @throws MemdriftError ERR_INVALID naming the flag, its value, what is allowed and what to do.
 */
export function experimentOptionsFrom(
  flags: ExperimentFlags = {},
  environment: ExperimentEnvironment = systemEnvironment(),
): ExperimentOptions {
  const given = givenFlags(flags);
  const number = (name: NumberFlagName): number => numberOf(name, given.get(name));
  const options = {
    arraySizeBytes: number('array-size'),
    timeoutMs: number('timeout') * 1000,
    pollIntervalMs: number('poll-int') * 1000,
    clients: number('clients'),
    rounds: number('rounds'),
    workMs: number('work-ms'),
    trim: switchOf('trim', given),
    placement: placementOf(given),
    sampleIntervalMs: number('sample-ms'),
    observerBudgetPercent: number('observer-budget'),
    quiet: switchOf('quiet', given),
  };
  const storeIsGiven = given.has('obj-store-mem');
  const wanted = number('obj-store-mem');
  const storeBytes = storeBytesOf(wanted, storeIsGiven, environment);
  checkSizes({ ...options, storeBytes, storeIsGiven }, environment);
  const jsonFile = textOf('json', given);
  const tmpDir = textOf('tmp-dir', given);
  return {
    ...options,
    storeBytes,
    storeLoweredFromBytes: storeBytes === wanted ? null : wanted,
    captureDir: captureDirOf(given, environment),
    jsonFile: jsonFile === null ? null : checkedJsonFile(jsonFile, environment.cwd),
    tmpDir: tmpDir === null ? defaultTmpDir(environment) : checkedTmpDir(tmpDir),
  };
}

/** The folder for captures; null: --no-captures. */
function captureDirOf(
  given: ReadonlyMap<string, string | boolean>,
  environment: ExperimentEnvironment,
): string | null {
  const path = textOf('capture-dir', given);
  if (given.get('captures') !== false) {
    return path === null
      ? defaultCaptureDir(environment)
      : checkedCaptureDir(path, environment.cwd);
  }
  if (path === null) return null;
  throw invalid(`--capture-dir ${path} and --no-captures contradict each other; give one`);
}

const knownNames = new Set<string>([...numberFlags, ...textFlags].map(({ name }) => name));

function givenFlags(flags: ExperimentFlags): ReadonlyMap<string, string | boolean> {
  const given = new Map<string, string | boolean>();
  for (const [spelling, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const name = canonicalFlagName(spelling);
    if (!knownNames.has(name)) throw invalid(`--${spelling} is no flag of the experiment`);
    const text = typeof value === 'number' ? String(value) : value;
    const before = given.get(name);
    if (before !== undefined && before !== text) {
      throw invalid(`--${name} is given twice, as ${before} and as ${text}; give it once`);
    }
    given.set(name, text);
  }
  return given;
}

function numberOf(name: NumberFlagName, value: string | boolean | undefined): number {
  const flag = numberFlags.find((one) => one.name === name);
  if (flag === undefined) throw new Error(`no flag ${name}`);
  if (value === undefined) return flag.fallback;
  const { min, max, unit, fractions } = flag;
  const kind = fractions ? 'a number' : 'a whole number';
  const allowed = `give ${kind} from ${min} to ${max}${unit === '' ? '' : ` ${unit}`}`;
  const form = fractions ? /^-?\d+(\.\d+)?$/ : /^-?\d+$/;
  if (typeof value !== 'string' || !form.test(value)) {
    throw invalid(`--${name} ${value} is not ${kind}; ${allowed}`);
  }
  const number = Number(value);
  if (number < min || number > max) {
    throw invalid(`--${name} ${value} is out of range; ${allowed}`);
  }
  return number;
}

function switchOf(name: string, given: ReadonlyMap<string, string | boolean>): boolean {
  const value = given.get(name) ?? false;
  if (typeof value !== 'boolean') throw invalid(`--${name} ${value}: it takes no value`);
  return value;
}

function textOf(name: string, given: ReadonlyMap<string, string | boolean>): string | null {
  const value = given.get(name);
  if (value === undefined) return null;
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw invalid(`--${name} ${JSON.stringify(value)} is not a path; give one`);
  }
  return value;
}

function placementOf(given: ReadonlyMap<string, string | boolean>): 'lowest' | 'rotate' {
  const value = given.get('placement') ?? 'lowest';
  if (value !== 'lowest' && value !== 'rotate') {
    throw invalid(`--placement ${value} is not known; give lowest or rotate`);
  }
  return value;
}

/** The store's size: a given one must fit the system; the default is lowered to what fits. */
function storeBytesOf(
  wanted: number,
  isGiven: boolean,
  { sharedMemoryBytes, memoryBytes }: ExperimentEnvironment,
): number {
  const most = Math.min(sharedMemoryBytes, memoryBytes);
  if (wanted <= most) return wanted;
  if (!isGiven) return most;
  const what =
    wanted > sharedMemoryBytes
      ? `/dev/shm, which holds ${sharedMemoryBytes} bytes`
      : `memory, which is ${memoryBytes} bytes`;
  throw invalid(
    `--obj-store-mem ${wanted} is larger than ${what}; give at most ${most}, or leave it away`,
  );
}

interface Sizes {
  readonly arraySizeBytes: number;
  readonly clients: number;
  readonly storeBytes: number;
  readonly storeIsGiven: boolean;
}

function checkSizes(sizes: Sizes, { pageBytes, maxArrayBytes }: ExperimentEnvironment): void {
  const { arraySizeBytes, clients, storeBytes, storeIsGiven } = sizes;
  if (arraySizeBytes > maxArrayBytes) {
    throw invalid(
      `--array-size ${arraySizeBytes} is more than an array of this Node can hold; give at most ` +
        `${maxArrayBytes} bytes`,
    );
  }
  const store = storeIsGiven
    ? `the store (--obj-store-mem ${storeBytes})`
    : `the store (${storeBytes} bytes, as --obj-store-mem is not given)`;
  const remedy = storeIsGiven
    ? 'or raise --obj-store-mem'
    : 'or give more room: --obj-store-mem, and a larger /dev/shm if that is what limits it';
  if (arraySizeBytes > storeBytes) {
    throw invalid(
      `--array-size ${arraySizeBytes} is larger than ${store}; lower --array-size ${remedy}`,
    );
  }
  const needed = clients * Math.ceil(arraySizeBytes / pageBytes) * pageBytes;
  if (needed > storeBytes) {
    throw invalid(
      `--clients ${clients} times --array-size ${arraySizeBytes} is ${needed} bytes in whole ` +
        `pages, larger than ${store}; lower --clients or --array-size ${remedy}`,
    );
  }
}

function invalid(message: string): MemdriftError {
  return new MemdriftError('ERR_INVALID', message);
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    throw new MemdriftError(
      'ERR_INVALID',
      'the folder in which this was started does not exist any more; change to one that does',
    );
  }
}
