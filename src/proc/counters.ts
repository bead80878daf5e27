import { binding } from '../binding.ts';
import type { NativeCounters, NativeStatm } from '../door.ts';
import { isMemdriftError } from '../errors.ts';
import { checkBytes, knownOrNull, nativePid, type Pid } from './arguments.ts';

/**
 * What /proc/PID/status prints in kB, as bytes. The native list is native/proc/counters.h, and a
 * test compares the two.
 */
export const counterFields = [
  'peakVmSizeBytes',
  'vmSizeBytes',
  'lockedBytes',
  'pinnedBytes',
  'peakRssBytes',
  'rssBytes',
  'rssAnonBytes',
  'rssFileBytes',
  'rssShmemBytes',
  'dataBytes',
  'stackBytes',
  'executableBytes',
  'libraryBytes',
  'pageTableBytes',
  'pmdTableBytes',
  'swapBytes',
  'hugetlbBytes',
] as const;

export type CounterField = (typeof counterFields)[number];

/**
 * Counters that the kernel keeps anyway; null: it does not say (kernel threads and zombies have no
 * memory).
 */
export type Counters = {
  readonly [Field in CounterField]: number | null;
} & {
  readonly pid: number;
  /** As the process set it, newlines and parentheses included; the kernel cuts it at 15 bytes. */
  readonly name: string;
  /** The kernel's letter: R running, S sleeping, D waiting for a disk, Z zombie, T stopped, … */
  readonly state: string;
  readonly parentPid: number;
  readonly uid: number | null;
  readonly effectiveUid: number | null;
  readonly threads: number | null;
  /** Bit n - 1: signal n has a handler. */
  readonly signalsCaught: bigint | null;
  /** RssFile + RssShmem, what other tools call SHR: file or shared pages, however many map them. */
  readonly sharedBytes: number | null;
  /** Clock ticks from boot to the start; with the pid it names a process for good. */
  readonly startTimeTicks: number | null;
  readonly userTicks: number | null;
  readonly systemTicks: number | null;
};

/** What /proc/PID/statm says, bytes. */
export type Statm = Readonly<NativeStatm>;

/**
 * Reads status and stat (statm where status lacks RssFile): about 20 us whatever the size of the
 * process, also for other users' processes. Two reads, so not of one instant.
 * @throws MemdriftError ERR_GONE, ERR_DENIED (/proc hides the process), ERR_MALFORMED, ERR_INVALID,
 * ERR_UNSUPPORTED
 */
export function readCounters(pid: Pid): Counters {
  return countersOf(binding().procRead(nativePid(pid), 'counters', false));
}

/**
 * Returns the counters of a process in a list that may be old: null when it has ended or is hidden.
 * @throws MemdriftError like readCounters, except for these two.
 */
export function readCountersIfAny(pid: Pid): Counters | null {
  try {
    return readCounters(pid);
  } catch (error) {
    if (isMemdriftError(error, 'ERR_GONE') || isMemdriftError(error, 'ERR_DENIED')) return null;
    throw error;
  }
}

/** readCounters on a thread of libuv's pool. */
export async function readCountersAsync(pid: Pid): Promise<Counters> {
  return countersOf(await binding().procRead(nativePid(pid), 'counters', true));
}

/** What status alone says; start and CPU times are null. @throws MemdriftError ERR_MALFORMED */
export function parseStatus(bytes: Uint8Array): Counters {
  return countersOf(binding().procParse(checkBytes(bytes), 'status'));
}

/**
 * What stat alone says; memory is null, since its rss is approximate.
 * @throws MemdriftError ERR_MALFORMED
 */
export function parseStat(bytes: Uint8Array): Counters {
  return countersOf(binding().procParse(checkBytes(bytes), 'stat'));
}

/** @throws MemdriftError ERR_MALFORMED */
export function parseStatm(bytes: Uint8Array, pageSizeBytes = 4096): Statm {
  return binding().procParse(checkBytes(bytes), 'statm', pageSizeBytes);
}

const otherNumbers = [
  'uid',
  'effectiveUid',
  'threads',
  'sharedBytes',
  'startTimeTicks',
  'userTicks',
  'systemTicks',
] as const;

function countersOf(native: NativeCounters): Counters {
  const { pid, name, state, parentPid, signalsCaught = null } = native;
  const counters: Record<string, unknown> = { pid, name, state, parentPid, signalsCaught };
  for (const field of [...counterFields, ...otherNumbers])
    counters[field] = knownOrNull(native[field] as number);
  return counters as unknown as Counters;
}
