/** `memdrift table` and `live`: the stacks that held the most, as text. */
import type { LargestRows, RowsByTotal } from '../analysis/report_rows.ts';
import type { TableRow } from '../capture/capture_model.ts';
import { stackLines } from './frame_text.ts';
import { printable } from './printable.ts';
import { megabytesWithUnit } from './units.ts';

export interface AllocationsHead {
  /** What the rows are: `live at the peak`. */
  readonly what: string;
  /** Options that show the rows that are left. */
  readonly options: string;
}

/** Yields rows with their stacks, innermost function first; in pieces, since stacks can be deep. */
export function* tableText(
  { counted, beside }: RowsByTotal,
  { what, options }: AllocationsHead,
): Generator<string> {
  yield `${megabytesWithUnit(counted.totalBytes)} ${what}\n`;
  yield* rowTexts(counted, options);
  if (beside === null || beside.rows.length === 0) return;
  const size = megabytesWithUnit(beside.totalBytes);
  yield `\nNot in the total: files, shared memory and threads' stacks, ${size}\n`;
  yield* rowTexts(beside, options);
}

function* rowTexts({ rows, left, leftBytes }: LargestRows, options: string): Generator<string> {
  for (const row of rows) yield `\n${rowText(row)}`;
  if (left === 0) return;
  const count = left === 1 ? '1 more row' : `${left.toLocaleString('en-US')} more rows`;
  yield `\n${megabytesWithUnit(leftBytes)} in ${count}: ${options}\n`;
}

function rowText(row: TableRow): string {
  const count = row.count === null ? '' : `${row.count.toLocaleString('en-US')} of them, `;
  const size = megabytesWithUnit(row.bytes);
  const head = `${size}  ${row.kind}, ${count}thread ${printable(row.thread)}`;
  return `${[head, ...stackLines(row.stack)].join('\n')}\n`;
}
