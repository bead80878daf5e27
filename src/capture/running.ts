/** The capture that a running process writes. */
import { readdirSync, readlinkSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';

/**
 * The capture that the process has open.
 * @throws MemdriftError ERR_GONE (no such process), ERR_DENIED (another user's), ERR_STATE (it is
 * not tracked).
 */
export function captureOfProcess(pid: number): string {
  const folder = `/proc/${pid}/fd`;
  for (const fd of descriptorsOf(pid, folder)) {
    const path = linkOf(`${folder}/${fd}`);
    if (path.endsWith('.mdc')) return path;
  }
  throw new MemdriftError(
    'ERR_STATE',
    `process ${pid} is not being tracked; start it with memdrift run`,
    { pid },
  );
}

/** True while the process exists; one that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).length > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function descriptorsOf(pid: number, folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
    const why = denied ? 'is of another user' : 'does not exist';
    throw new MemdriftError(denied ? 'ERR_DENIED' : 'ERR_GONE', `process ${pid} ${why}`, {
      pid,
      cause,
    });
  }
}

/** What a descriptor is of; empty when it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
