/** `memdrift table` and `live`: the stacks that held the most, as text. */
import type { CaptureTable, TableRow } from '../capture/capture_model.ts';
import { stackLines } from './frame_text.ts';
import { printable } from './printable.ts';
import { megabytesWithUnit } from './units.ts';

export interface AllocationsHead {
  /** What the rows are: `live at the peak`. */
  readonly what: string;
  /** Rows that are not shown, and the options that show them. */
  readonly left: number;
  readonly options: string;
}

/** Rows, each with its stack; innermost function first. */
export function tableText(
  { totalBytes, rows }: Pick<CaptureTable, 'totalBytes' | 'rows'>,
  { what, left, options }: AllocationsHead,
): string {
  const parts = [`${megabytesWithUnit(totalBytes)} ${what}\n`, ...rows.map(rowText)];
  if (left > 0) parts.push(`${left.toLocaleString('en-US')} more rows: ${options}\n`);
  return parts.join('\n');
}

function rowText(row: TableRow): string {
  const count = row.count === null ? '' : `${row.count.toLocaleString('en-US')} of them, `;
  const size = megabytesWithUnit(row.bytes);
  const head = `${size}  ${row.kind}, ${count}thread ${printable(row.thread)}`;
  return `${[head, ...stackLines(row.stack)].join('\n')}\n`;
}
