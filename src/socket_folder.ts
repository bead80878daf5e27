/**
 * Where Unix sockets live, of experiments, tracked programs and channels: a folder of this user
 * alone, so that nobody else can connect or put a link in the way, with a path short enough for a
 * socket (108 bytes with its end).
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemdriftError } from './errors.ts';

const maxSocketPathBytes = 107;

/** A path for the socket of that name, in a folder that was checked or made. */
export function socketPathFor(name: string): string {
  const path = join(socketFolder(), `${name}.sock`);
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    throw new MemdriftError(
      'ERR_TOO_LARGE',
      `the socket path ${path} has more than ${maxSocketPathBytes} bytes; ` +
        'set XDG_RUNTIME_DIR or TMPDIR to a shorter folder',
      { path },
    );
  }
  return path;
}

/** Removes sockets of processes that were killed: those that nobody listens on any more. */
export async function sweepSockets(): Promise<void> {
  const folder = socketFolder();
  const names = readdirSync(folder).filter((name) => name.endsWith('.sock'));
  await Promise.all(names.map((name) => removeIfRefused(join(folder, name))));
}

/**
 * @throws MemdriftError ERR_DENIED where others could enter the folder, ERR_SYSTEM where it cannot
 * be made.
 */
export function socketFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  const usable = runtime !== undefined && runtime !== '' && isOwnFolder(runtime);
  const folder = usable ? join(runtime, 'memdrift') : join(tmpdir(), `memdrift-${userId()}`);
  make(folder);
  if (!isOwnFolder(folder)) {
    throw new MemdriftError(
      'ERR_DENIED',
      `${folder} is not a folder that only this user can enter (0700, no link); ` +
        'remove it, or set XDG_RUNTIME_DIR',
      { folder },
    );
  }
  return folder;
}

/** Makes the folder, not those above it: a TMPDIR that is missing stays so. */
function make(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const what = `cannot make the folder ${folder} for sockets (${code})`;
    const remedy = 'set TMPDIR or XDG_RUNTIME_DIR to a folder that this user can write to';
    throw new MemdriftError('ERR_SYSTEM', `${what}; ${remedy}`, { folder, cause });
  }
}

function isOwnFolder(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.isDirectory() === true && status.uid === userId() && (status.mode & 0o077) === 0;
}

function userId(): number {
  return process.getuid?.() ?? 0;
}

function removeIfRefused(path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') rmSync(path, { force: true });
      resolve();
    });
  });
}
