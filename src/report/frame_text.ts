/** A function of a stack as text, the same in all reports. */
import type { Frame } from '../capture/capture_model.ts';
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
