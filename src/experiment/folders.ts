/** The folders and files that a run is told to use: checked before anything starts. */
import { accessSync, constants, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { MemdriftError } from '../errors.ts';

/** A folder given as --tmp-dir: absolute, and a folder that can be written or made. */
export function checkedTmpDir(path: string): string {
  if (!isAbsolute(path)) {
    throw invalid(`--tmp-dir ${path} is relative; give an absolute path such as ${resolve(path)}`);
  }
  const obstacle = obstacleToWriting(path);
  if (obstacle !== null) {
    throw invalid(`--tmp-dir ${path} cannot be used: ${obstacle}; give a folder you can write`);
  }
  return resolve(path);
}

/**
 * `<cwd>/tmp/memdrift`, or a folder of this user alone in the system's temp folder. The latter is
 * made here, because in a folder that all can write only the maker knows that it is no one's trap.
 */
export function defaultTmpDir(environment: {
  readonly cwd: string;
  readonly systemTmpDir: string;
  readonly userId: number;
}): string {
  const here = join(environment.cwd, 'tmp', 'memdrift');
  if (obstacleToWriting(here) === null && !isBelowSharedFolder(here)) return here;
  const folder = join(environment.systemTmpDir, `memdrift-${environment.userId}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw invalid(
        `neither ${here} nor ${folder} can be written (${(cause as Error).message}); ` +
          'give --tmp-dir an absolute folder that can',
      );
    }
  }
  const status = lstatSync(folder);
  const ownAlone =
    status.isDirectory() && status.uid === environment.userId && (status.mode & 0o077) === 0;
  if (!ownAlone) {
    throw invalid(
      `${folder} is not a folder that only this user can enter (0700, no link); remove it or ` +
        'give --tmp-dir an absolute folder',
    );
  }
  return folder;
}

/**
 * Makes a folder and what is missing above it, one at a time: mkdir with `recursive` never returns
 * where a file system has no such folder to make, /proc for one.
 * @throws MemdriftError ERR_INVALID.
 */
export function makeFolders(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) makeFolders(above);
  try {
    mkdirSync(path);
  } catch (cause) {
    // Another run may have made it meanwhile; a file of that name is no folder.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    throw invalid(
      `--tmp-dir: ${path} cannot be made: ${(cause as Error).message}; give a folder you can write`,
    );
  }
}

/**
 * A new folder for captures, which is not made yet: in the current folder, or else beside the other
 * files of a run.
 */
export function defaultCaptureDir(environment: {
  readonly cwd: string;
  readonly systemTmpDir: string;
  readonly userId: number;
}): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+Z/g, '');
  const here = join(environment.cwd, 'captures');
  const usable = obstacleToWriting(here) === null && !isBelowSharedFolder(here);
  const folder = usable ? here : join(defaultTmpDir(environment), 'captures');
  return join(folder, `${time}-${process.pid}`);
}

/** A folder given as --capture-dir: empty, or not there yet; nothing is made. */
export function checkedCaptureDir(path: string, cwd: string): string {
  const folder = resolve(cwd, path);
  const obstacle = obstacleToWriting(folder);
  if (obstacle !== null) {
    throw invalid(`--capture-dir ${path} cannot be used: ${obstacle}; give a new or empty folder`);
  }
  const entries = statSync(folder, { throwIfNoEntry: false }) === undefined ? 0 : count(folder);
  if (entries > 0) {
    throw invalid(
      `--capture-dir ${path} is not empty (${entries} entries); give a new or empty folder`,
    );
  }
  return folder;
}

/** A file given as --json: one that can be written, in a folder that is there. */
export function checkedJsonFile(path: string, cwd: string): string {
  const file = resolve(cwd, path);
  const obstacle = obstacleToFile(file);
  if (obstacle !== null) {
    throw invalid(`--json ${path} cannot be written: ${obstacle}; give another file`);
  }
  return file;
}

function count(folder: string): number {
  return readdirSync(folder).length;
}

function obstacleToFile(file: string): string | null {
  try {
    const status = statSync(file, { throwIfNoEntry: false });
    if (status?.isDirectory()) return 'it is a folder';
    if (status !== undefined) {
      accessSync(file, constants.W_OK);
      return null;
    }
    if (!statSync(dirname(file)).isDirectory()) return `${dirname(file)} is not a folder`;
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether the folder that `folder` would be made in is one that every user can write. */
function isBelowSharedFolder(folder: string): boolean {
  return (statSync(existingPart(folder)).mode & 0o002) !== 0;
}

function existingPart(folder: string): string {
  let existing = folder;
  while (lstatSync(existing, { throwIfNoEntry: false }) === undefined) existing = dirname(existing);
  return existing;
}

/** Why nothing can be written in `folder`, which may have to be made; null: nothing hinders. */
function obstacleToWriting(folder: string): string | null {
  try {
    const existing = existingPart(folder);
    if (!statSync(existing).isDirectory()) return `${existing} is not a folder`;
    accessSync(existing, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function invalid(message: string): MemdriftError {
  return new MemdriftError('ERR_INVALID', message);
}
