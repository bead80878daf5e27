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

/** Yields rows with their stacks, innermost function first; in pieces, since stacks can be deep. */
export function* tableText(
  { totalBytes, rows }: Pick<CaptureTable, 'totalBytes' | 'rows'>,
  { what, left, options }: AllocationsHead,
): Generator<string> {
  yield `${megabytesWithUnit(totalBytes)} ${what}\n`;
  for (const row of rows) yield `\n${rowText(row)}`;
  if (left > 0) yield `\n${left.toLocaleString('en-US')} more rows: ${options}\n`;
}

function rowText(row: TableRow): string {
  const count = row.count === null ? '' : `${row.count.toLocaleString('en-US')} of them, `;
  const size = megabytesWithUnit(row.bytes);
  const head = `${size}  ${row.kind}, ${count}thread ${printable(row.thread)}`;
  return `${[head, ...stackLines(row.stack)].join('\n')}\n`;
}
