/** Files that commands make. */
import { closeSync, existsSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';

/** Of texts so much is written at once: many are a line. */
const batchCharacters = 1 << 20;

/**
 * Writes the pieces one after another, which together may be more than a string holds. A new file
 * that cannot be written as a whole is taken away again.
 * @throws MemdriftError ERR_SYSTEM.
 */
export function writeOutput(to: string, pieces: Iterable<string | Uint8Array>): void {
  const isNew = !existsSync(to);
  let fd: number | null = null;
  try {
    fd = openSync(to, 'w');
    for (const batch of batches(pieces)) writeFileSync(fd, batch);
  } catch (cause) {
    if (isNew && fd !== null) unlinkSync(to);
    if (!isSystemError(cause)) throw cause;
    throw new MemdriftError('ERR_SYSTEM', `cannot write ${to}: ${cause.message}`, { cause });
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** Small texts together. */
export function* batches(pieces: Iterable<string | Uint8Array>): Generator<string | Uint8Array> {
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
