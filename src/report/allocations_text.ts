/** `memdrift table`: the stacks that held the most, as text. */
import type { CaptureTable, TableRow } from '../capture/capture_model.ts';
import { frameText } from './frame_text.ts';
import { printable } from './printable.ts';
import { megabytesWithUnit } from './units.ts';

/** Rows, each with its stack; innermost function first. */
export function allocationsText(
  { totalBytes, rows }: Pick<CaptureTable, 'totalBytes' | 'rows'>,
  { what, left }: { readonly what: string; readonly left: number },
): string {
  const parts = [`${megabytesWithUnit(totalBytes)} ${what}\n`, ...rows.map(rowText)];
  if (left > 0)
    parts.push(`${left.toLocaleString('en-US')} more rows: --rows, or --json for all\n`);
  return parts.join('\n');
}

function rowText(row: TableRow): string {
  const count = row.count === null ? '' : `${row.count.toLocaleString('en-US')} of them, `;
  const size = megabytesWithUnit(row.bytes);
  const head = `${size}  ${row.kind}, ${count}thread ${printable(row.thread)}`;
  const stack = row.stack.map((frame) => `    ${printable(frameText(frame))}`);
  return `${[head, ...stack].join('\n')}\n`;
}
