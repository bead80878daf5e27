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

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function differenceText(difference: Difference, head: DifferenceHead): string {
  const { fromBytes, toBytes, rows } = difference;
  const sizes = [
    `${megabytesWithUnit(fromBytes)} ${head.from}`,
    `${megabytesWithUnit(toBytes)} ${head.to}`,
  ];
  const title = `${signedMegabytes(toBytes - fromBytes)} MB ${head.what}: ${sizes.join(', ')}\n`;
  const grown = rows.filter(({ bytes }) => bytes > 0);
  const shrunk = rows.filter(({ bytes }) => bytes < 0).toReversed();
  const parts = [partText('grew', grown, head.most), partText('shrank', shrunk, head.most)];
  const text = parts.filter((part) => part !== '').join('\n');
  return `${title}\n${text === '' ? 'no stack holds more or less\n' : text}`;
}

function partText(name: string, rows: readonly DifferenceRow[], most: number): string {
  if (rows.length === 0) return '';
  const sum = rows.reduce((all, { bytes }) => all + bytes, 0);
  // What is told as 0.00 MB says nothing, at the length of a stack each.
  const told = rows.filter(({ bytes }) => Math.abs(bytes) >= leastBytes).slice(0, most);
  const left = rows.length - told.length;
  const more =
    left > 0 ? [`${left.toLocaleString('en-US')} more: --rows, or --json for all\n`] : [];
  return [`${name} by ${megabytesWithUnit(Math.abs(sum))}\n`, ...told.map(rowText), ...more].join(
    '\n',
  );
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
