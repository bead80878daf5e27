/** `memdrift diff`: what grew and what shrank, as text. */
import type { Difference, DifferenceRow } from '../analysis/difference.ts';
import { stackLines } from './frame_text.ts';
import { megabytesWithUnit, signedMegabytes } from './units.ts';

export interface DifferenceHead {
  /** What is compared: `live at the peak`. */
  readonly what: string;
  /** Where each was held: `in a.mdc`, `at 1.50 s`. */
  readonly from: string;
  readonly to: string;
  /** So many of what grew, and of what shrank. */
  readonly most: number;
}

/** In megabytes with two digits it is not nothing. */
const leastBytes = 5_000;

/** Yields the text in pieces, since stacks can be deep; sizes in MB of 10^6 bytes. */
export function* differenceText(difference: Difference, head: DifferenceHead): Generator<string> {
  const { fromBytes, toBytes, rows } = difference;
  const sizes = [
    `${megabytesWithUnit(fromBytes)} ${head.from}`,
    `${megabytesWithUnit(toBytes)} ${head.to}`,
  ];
  yield `${signedMegabytes(toBytes - fromBytes)} MB ${head.what}: ${sizes.join(', ')}\n`;
  const grown = rows.filter(({ bytes }) => bytes > 0);
  const shrunk = rows.filter(({ bytes }) => bytes < 0).toReversed();
  if (grown.length + shrunk.length === 0) yield '\nno stack holds more or less\n';
  yield* partText('grew', grown, head.most);
  yield* partText('shrank', shrunk, head.most);
}

function* partText(name: string, rows: readonly DifferenceRow[], most: number): Generator<string> {
  if (rows.length === 0) return;
  const sum = rows.reduce((all, { bytes }) => all + bytes, 0);
  // What is told as 0.00 MB says nothing, at the length of a stack each.
  const told = rows.filter(({ bytes }) => Math.abs(bytes) >= leastBytes).slice(0, most);
  const left = rows.length - told.length;
  yield `\n${name} by ${megabytesWithUnit(Math.abs(sum))}\n`;
  for (const row of told) yield `\n${rowText(row)}`;
  if (left > 0) yield `\n${left.toLocaleString('en-US')} more: --rows, or --json for all\n`;
}

function rowText(row: DifferenceRow): string {
  const sizes = `${megabytesWithUnit(row.fromBytes)} to ${megabytesWithUnit(row.toBytes)}`;
  const head = `${signedMegabytes(row.bytes)} MB  ${row.kind}${countText(row.count)}, ${sizes}`;
  return `${[head, ...stackLines(row.stack)].join('\n')}\n`;
}

function countText(count: number | null): string {
  if (count === null || count === 0) return '';
  return `, ${Math.abs(count).toLocaleString('en-US')} ${count > 0 ? 'more' : 'fewer'} of them`;
}
