/** Files that commands make: for their user alone, and whole or not at all. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isMemdriftError, MemdriftError } from '../errors.ts';

/** Texts of about this many characters are written at once, since most are one line. */
const batchCharacters = 1 << 20;

const privateMode = 0o600;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;

export interface OutputPlan {
  /** Captures and logs that it is made from: it is readable by no more users than they are. */
  readonly madeFrom: readonly string[];
  /** Whether a file that exists is replaced. */
  readonly replaces: boolean;
}

type Pieces = Iterable<string | Uint8Array>;

/**
 * Writes the pieces one after another, which together may exceed a string. A new file has mode
 * 0600. An existing one is replaced once the new content is whole, and keeps its mode as far as the
 * sources' modes allow.
 * @throws MemdriftError ERR_EXISTS, ERR_DENIED (a symbolic link of another user), ERR_SYSTEM.
 */
export function writeOutput(to: string, pieces: Pieces, plan: OutputPlan): void {
  try {
    write(to, pieces, plan);
  } catch (cause) {
    if (isMemdriftError(cause) || !isSystemError(cause)) throw cause;
    if (cause.code === 'EEXIST') throw exists(to);
    throw new MemdriftError('ERR_SYSTEM', `cannot write ${to}: ${cause.message}`, { cause });
  }
}

/** Returns the error for a file that exists and must not be replaced. */
export function exists(to: string): MemdriftError {
  return new MemdriftError('ERR_EXISTS', `${to} exists; replace it with --force, or name another`);
}

function write(to: string, pieces: Pieces, { madeFrom, replaces }: OutputPlan): void {
  const status = lstatSync(to, { throwIfNoEntry: false });
  if (isDevice(to)) writeThrough(to, pieces);
  else if (status === undefined || !replaces) fill(openNew(to), pieces, () => {});
  else {
    const file = status.isSymbolicLink() ? followed(to, status) : to;
    writeInstead(file, pieces, statSync(file).mode & allowedMode(madeFrom));
  }
}

/** Returns true for a terminal, a pipe or a null device, which is written to and not replaced. */
function isDevice(to: string): boolean {
  const path = resolve(to);
  if (/^\/(dev\/(?!shm\/)|proc\/)/.test(path)) return true;
  const status = statSync(path, { throwIfNoEntry: false });
  return status !== undefined && !status.isFile() && !status.isDirectory();
}

function writeThrough(to: string, pieces: Pieces): void {
  const fd = openSync(to, O_WRONLY | O_TRUNC);
  try {
    for (const batch of batches(pieces)) writeFileSync(fd, batch);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes beside the file and renames; where no file can be made there, writes into the file itself.
 */
function writeInstead(file: string, pieces: Pieces, mode: number): void {
  const beside = join(dirname(file), `.${basename(file)}.${randomBytes(8).toString('hex')}`);
  let made: NewFile;
  try {
    made = openNew(beside);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EACCES', 'EPERM', 'EROFS'].includes(code)) throw error;
    writeInto(file, pieces, mode);
    return;
  }
  fill(made, pieces, (fd) => {
    fchmodSync(fd, mode);
    renameSync(beside, file);
  });
}

interface NewFile {
  readonly path: string;
  readonly fd: number;
}

/** Makes and opens the file, which must not exist. */
function openNew(path: string): NewFile {
  return { path, fd: openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, privateMode) };
}

/** Writes all pieces, then calls `finish`; removes a file that cannot be written whole. */
function fill({ path, fd }: NewFile, pieces: Pieces, finish: (fd: number) => void): void {
  try {
    for (const batch of batches(pieces)) writeFileSync(fd, batch);
    finish(fd);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function writeInto(file: string, pieces: Pieces, mode: number): void {
  const fd = openSync(file, O_WRONLY | O_NOFOLLOW);
  try {
    if ((fstatSync(fd).mode & 0o7777) !== mode) fchmodSync(fd, mode);
    ftruncateSync(fd);
    for (const batch of batches(pieces)) writeFileSync(fd, batch);
  } finally {
    closeSync(fd);
  }
}

/**
 * Returns the file that a link of this user, or of root, leads to. In a folder that all users can
 * write to, another user's link would make us overwrite a file that only we may change.
 */
function followed(link: string, status: Stats): string {
  if (status.uid !== process.geteuid?.() && status.uid !== 0) {
    const what = `${link} is a symbolic link of another user (uid ${status.uid})`;
    throw new MemdriftError('ERR_DENIED', `${what}; name another file`, { path: link });
  }
  if (existsSync(link)) return realpathSync(link);
  const what = `cannot write ${link}: it is a symbolic link to a missing file`;
  throw new MemdriftError('ERR_SYSTEM', `${what}; remove it, or name another file`, { path: link });
}

function allowedMode(sources: readonly string[]): number {
  const modes = sources.map((source) => statSync(source, { throwIfNoEntry: false })?.mode ?? 0);
  return privateMode | modes.reduce((all, mode) => all & mode, 0o666);
}

/** Yields small texts joined into larger ones. */
export function* batches(pieces: Pieces): Generator<string | Uint8Array> {
  let texts: string[] = [];
  let characters = 0;
  const taken = (): string => {
    const text = texts.join('');
    texts = [];
    characters = 0;
    return text;
  };
  for (const piece of pieces) {
    if (typeof piece !== 'string') {
      if (texts.length > 0) yield taken();
      yield piece;
      continue;
    }
    texts.push(piece);
    characters += piece.length;
    if (characters >= batchCharacters) yield taken();
  }
  if (texts.length > 0) yield taken();
}

/** What the system said no to, such as a path that is not there. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}
