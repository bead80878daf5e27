/**
 * A preload that every user can read, for a package in a folder that only root can enter. Node does
 * not start a program whose --require file it cannot read, and root's programs start others as
 * other users. Only root can make it: the file must be in a folder that no other user can write to
 * and that nothing cleans up while programs run.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Folders that are lost when the machine restarts, and not before: programs may need the file until
 * then.
 */
const places = ['/run/memdrift', '/dev/shm/memdrift-preload'];

/** Returns the file to load before a program: `path`, or a readable file that loads it. */
export function publicPreload(path: string): string {
  if (process.geteuid?.() !== 0 || isPublic(path)) return path;
  const text = textFor(path);
  const name = `preload-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.cjs`;
  for (const place of places) {
    try {
      return written(place, name, text);
    } catch {
      // Another user's folder, or a read-only file system: try the next one.
    }
  }
  return path;
}

/** Returns whether every user can read the file and enter all folders on the way. */
function isPublic(path: string): boolean {
  for (let at = path, mask = 0o004; ; at = dirname(at), mask = 0o001) {
    if ((statSync(at).mode & mask) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * Returns the file's text. A worker of a process that has changed its user loads it too, and prints
 * nothing.
 */
function textFor(path: string): string {
  const reason = JSON.stringify(` is not tracked: this user cannot load ${path}\n`);
  return `'use strict';
try {
  require(${JSON.stringify(path)});
} catch {
  try {
    if (require('node:worker_threads').isMainThread)
      require('node:fs').writeSync(2, 'memdrift: process ' + process.pid + ${reason});
  } catch {}
}
`;
}

/** Writes the file and returns its path. @throws Error when other users could change it. */
function written(place: string, name: string, text: string): string {
  const mask = process.umask(0o022);
  try {
    mkdirSync(place, { recursive: true });
    const { uid, mode } = lstatSync(place);
    if (!lstatSync(place).isDirectory() || uid !== 0 || (mode & 0o777) !== 0o755)
      throw new Error(`${place} is not a folder that root alone writes`);
    const file = join(place, name);
    if (hasText(file, text)) return file;
    const made = `${file}.${process.pid}`;
    writeFileSync(made, text, { mode: 0o644 });
    renameSync(made, file);
    return file;
  } finally {
    process.umask(mask);
  }
}

function hasText(file: string, text: string): boolean {
  try {
    return readFileSync(file, 'utf8') === text && (statSync(file).mode & 0o777) === 0o644;
  } catch {
    return false;
  }
}
