import { MemdriftError } from '../errors.ts';

/**
 * A process id, or this process; the latter is right also where /proc has the pids of another
 * namespace.
 */
export type Pid = number | 'self';

const pidMax = 2 ** 31 - 1;

/** The native form of `pid`. @throws MemdriftError ERR_INVALID */
export function nativePid(pid: Pid): number {
  if (pid === 'self') return -1;
  if (Number.isInteger(pid) && pid >= 0 && pid <= pidMax) return pid;
  throw new MemdriftError(
    'ERR_INVALID',
    `pid ${String(pid)} is not an integer from 0 to ${pidMax}, nor 'self'. Pass a process id.`,
    { pid },
  );
}

/** @throws MemdriftError ERR_INVALID */
export function checkBytes(bytes: Uint8Array): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  throw new MemdriftError(
    'ERR_INVALID',
    `The text of a /proc file was given as ${typeof bytes}. ` +
      'Pass its bytes, a Uint8Array or Buffer.',
  );
}

/** The native side's NaN is "the kernel does not report it". */
export function knownOrNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}
