/** Where a new capture may be written. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MemdriftError } from '../errors.ts';

/** Returns the absolute path. @throws MemdriftError ERR_EXISTS, ERR_INVALID (no such folder). */
export function newCapturePath(path: string): string {
  const file = resolve(path);
  if (existsSync(file)) {
    throw new MemdriftError('ERR_EXISTS', `${path} exists; name another file with -o`);
  }
  const folder = dirname(file);
  if (existsSync(folder)) return file;
  const what = `cannot write ${path}: the folder ${folder} does not exist`;
  throw new MemdriftError('ERR_INVALID', `${what}; make it, or name another file with -o`);
}
