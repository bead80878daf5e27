/** `memdrift table`: the stacks that held the most, as text. */
import type { CaptureTable, Frame, TableRow } from '../capture/capture.ts';
import { megabytesWithUnit, unknown } from './units.ts';

/** The `count` largest rows, each with its stack; innermost function first. */
export function allocationsText(
  table: CaptureTable,
  options: { readonly count: number; readonly when: 'at the peak' | 'at the end' | 'now' },
): string {
  const shown = table.rows.slice(0, options.count);
  const left = table.rows.length - shown.length;
  const total = megabytesWithUnit(table.totalBytes);
  const parts = [`${total} live ${options.when}\n`, ...shown.map(rowText)];
  if (left > 0) parts.push(`${left} more rows: --rows, or --json for all\n`);
  return parts.join('\n');
}

function rowText(row: TableRow): string {
  const count = row.count === null ? '' : `${row.count.toLocaleString('en-US')} of them, `;
  const size = megabytesWithUnit(row.bytes);
  const head = `${size}  ${row.kind}, ${count}thread ${row.thread}`;
  return `${[head, ...row.stack.map((frame) => `    ${frameText(frame)}`)].join('\n')}\n`;
}

function frameText(frame: Frame): string {
  const name = frame.function || (frame.native ? unknown : '(anonymous)');
  if (frame.file === '') return name;
  const line = frame.line ?? frame.functionLine;
  const inlined = frame.inlined ? '  (inlined)' : '';
  return `${name}  ${frame.file}${line === null ? '' : `:${line}`}${inlined}`;
}
