/** A mark in the capture of this process, whoever began it. */
import { MemdriftError } from '../errors.ts';

/**
 * Where who tracks the process leaves how its capture is marked: `memdrift run`, `attach` and a
 * Tracker are different copies of this package, as a rule. preload.cts and attach.ts name it too.
 */
const markPlace = Symbol.for('memdrift.mark');

type Marked = { [markPlace]?: ((label: string) => void) | undefined };

/**
 * Writes a named moment into the capture that is being made of this process by `memdrift run`,
 * `memdrift attach` or a Tracker, for `memdrift diff --from --to` and the pages. Without effect,
 * and false, while nobody tracks the process, so that it may stay in a program. Main thread.
 * @throws MemdriftError ERR_INVALID for a label that is no text.
 */
export function mark(label: string): boolean {
  if (typeof label !== 'string') throw new MemdriftError('ERR_INVALID', 'a label is a text');
  const write = (globalThis as Marked)[markPlace];
  write?.(label);
  return write !== undefined;
}

/** From now on mark() is for this capture; undefined: for none. */
export function setMark(write: ((label: string) => void) | undefined): void {
  (globalThis as Marked)[markPlace] = write;
}
