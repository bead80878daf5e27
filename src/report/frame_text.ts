/** A function of a stack as text, the same in all reports. */
import type { Frame } from '../capture/capture_model.ts';
import { printable } from './printable.ts';
import { unknown } from './units.ts';

export function nameOf(frame: Frame): string {
  return frame.function || (frame.native ? unknown : '(anonymous)');
}

/** The line that was executing, or that of the definition; null: not known. */
export function lineOf(frame: Frame): number | null {
  return frame.line ?? frame.functionLine;
}

/** The file, with the line where it is known; empty: not known. */
export function placeOf(frame: Frame): string {
  const line = lineOf(frame);
  return line === null || frame.file === '' ? frame.file : `${frame.file}:${line}`;
}

/** Name and place in a line. */
export function frameText(frame: Frame): string {
  const place = placeOf(frame);
  const inlined = frame.inlined ? '  (inlined)' : '';
  return `${nameOf(frame)}${place === '' ? '' : `  ${place}`}${inlined}`;
}

/** The lines of a stack, innermost function first; one that says so where there is no function. */
export function stackLines(stack: readonly Frame[]): string[] {
  if (stack.length === 0) return ['    (no function)'];
  return stack.map((frame) => `    ${printable(frameText(frame))}`);
}
