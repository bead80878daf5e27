/** The capture that a running process writes. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';

/** The name that the capture's writer gives its thread. */
const writerName = 'memdrift-writer';

/**
 * Returns the capture that the process has open. The writer's thread has its own table of
 * descriptors, or shares the process's where the kernel refused that.
 * @throws MemdriftError ERR_GONE (no such process), ERR_DENIED (another user's), ERR_STATE (it is
 * not tracked).
 */
export function captureOfProcess(pid: number): string {
  for (const thread of namesIn(pid, `/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    if (textOf(`${folder}/comm`).trimEnd() !== writerName) continue;
    for (const fd of namesIn(pid, `${folder}/fd`)) {
      const path = linkOf(`${folder}/fd/${fd}`);
      if (path.endsWith('.mdc')) return path;
    }
  }
  throw new MemdriftError(
    'ERR_STATE',
    `process ${pid} is not being tracked; start it with memdrift run`,
    { pid },
  );
}

/** Returns true while a process of this pid writes a capture, under any user. */
export function isTracked(pid: number): boolean {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).some(
      (id) => textOf(`${folder}/${id}/comm`).trimEnd() === writerName,
    );
  } catch {
    return false;
  }
}

/** True while the process exists; one that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).length > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function namesIn(pid: number, folder: string): readonly string[] {
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

/** Returns an empty text for a thread that has ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
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
