/** `memdrift summary`: functions and what they hold, as text. */
import type { FunctionTotal } from '../analysis/functions.ts';
import { ownFrame } from '../analysis/internals.ts';
import { frameText } from './frame_text.ts';
import { printable } from './printable.ts';
import { megabytes, megabytesWithUnit, percent } from './units.ts';

export interface SummaryHead {
  readonly totalBytes: number;
  /** What the numbers are of: `live at the peak`. */
  readonly what: string;
  /** The part of the total that is under none of the functions. */
  readonly noFunctionBytes: number;
  /** The tracker's part of the total. */
  readonly ownBytes: number;
  /** Functions that are not shown. */
  readonly left: number;
  /** Bytes that those functions hold themselves. */
  readonly leftBytes: number;
}

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function summaryText(functions: readonly FunctionTotal[], head: SummaryHead): string {
  const { totalBytes, what, noFunctionBytes, ownBytes, left, leftBytes } = head;
  const names = ['own MB', 'own %', 'total MB', 'total %', 'count'];
  const lines = functions.map((one) => {
    const numbers = [
      megabytes(one.ownBytes),
      percent(one.ownBytes, totalBytes),
      megabytes(one.totalBytes),
      percent(one.totalBytes, totalBytes),
      one.totalCount.toLocaleString('en-US'),
    ];
    return `${columns(numbers)}  ${printable(frameText(one.frame))}`;
  });
  const addPart = (bytes: number, name: string): void => {
    if (bytes === 0) return;
    const part = [megabytes(bytes), percent(bytes, totalBytes)];
    lines.push(`${columns([...part, ...part, ''])}  ${name}`);
  };
  addPart(noFunctionBytes, '(no function)');
  addPart(ownBytes, ownFrame.function);
  if (left > 0) {
    const rest = [megabytes(leftBytes), percent(leftBytes, totalBytes), '', '', ''];
    const count = left.toLocaleString('en-US');
    lines.push(`${columns(rest)}  (${count} more: --max-rows, or --json)`);
  }
  const title = `${megabytesWithUnit(totalBytes)} ${what}\n`;
  return `${[title, `${columns(names)}  function`, ...lines].join('\n')}\n`;
}

function columns(texts: readonly string[]): string {
  return texts.map((text, i) => text.padStart(i === 4 ? 11 : i % 2 === 0 ? 10 : 8)).join('');
}
