/** `memdrift explain --since`: where the growth went. */
import Table from 'cli-table3';
import type { Explanation } from '../drift/explain_model.ts';
import type { Growth, Moment } from '../drift/growth.ts';
import { noBorders } from './borders.ts';
import { growthAdviceOf } from './explain_advice.ts';
import { trimmed } from './explain_text.ts';
import { printable } from './printable.ts';
import { age, megabytes, megabytesWithUnit, signedMegabytes } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

const mostMappings = 12;

/** Returns the whole text, with advice from the later explanation; sizes in MB of 10^6 bytes. */
export function growthText(growth: Growth, now: Explanation): string {
  const { before, after, bytes, notes } = growth;
  const span = age(Math.abs(after.takenAtMs - before.takenAtMs));
  const head =
    `RSS ${megabytes(before.rssBytes)} -> ${megabytesWithUnit(after.rssBytes)}: ` +
    `${signedMegabytes(bytes)} MB in ${span}, ${subject(before, after)}`;
  const advice = growthAdviceOf(growth, now).join('\n');
  const parts = [head, causeTable(growth), mappingTable(growth), ...notes, advice];
  return `${parts.join('\n\n')}\n`;
}

function subject(before: Moment, after: Moment): string {
  const name = printable(after.name);
  if (before.pid === after.pid) return `process ${after.pid} (${name})`;
  return `from process ${before.pid} to process ${after.pid} (${name})`;
}

function causeTable({ causes, bytes, before, after }: Growth): string {
  const table = new Table({
    ...borderless,
    head: ['cause', 'growth MB', 'before', 'after'],
    colAligns: ['left', 'right', 'right', 'right'],
  });
  const cell = (value: number | null): string => (value === null ? '-' : megabytes(value));
  for (const row of causes) {
    if (row.bytes === 0) continue;
    const { cause, beforeBytes, afterBytes } = row;
    table.push([cause, signedMegabytes(row.bytes), cell(beforeBytes), cell(afterBytes)]);
  }
  const sums = [before.rssBytes, after.rssBytes].map(megabytes);
  table.push(['sum', signedMegabytes(bytes), ...sums]);
  return trimmed(table.toString());
}

/** The largest changes, up and down; the rest is one row, so that they add up. */
function mappingTable({ mappings, bytes }: Growth): string {
  const table = new Table({
    ...borderless,
    head: ['mapping', 'growth MB', 'before', 'after', 'held by'],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
  });
  const shown = [...mappings]
    .sort((a, b) => Math.abs(b.bytes) - Math.abs(a.bytes))
    .slice(0, mostMappings)
    .sort((a, b) => b.bytes - a.bytes);
  for (const row of shown) {
    const { name, startAddress, beforeBytes, afterBytes, holder } = row;
    const place = startAddress === null ? 'anonymous' : startAddress.toString(16);
    const sizes = [megabytes(beforeBytes), megabytes(afterBytes)];
    table.push([printable(name || place), signedMegabytes(row.bytes), ...sizes, holder]);
  }
  const rest = bytes - shown.reduce((sum, row) => sum + row.bytes, 0);
  table.push(['all others', signedMegabytes(rest), '', '', '']);
  table.push(['sum', signedMegabytes(bytes), '', '', '']);
  return trimmed(table.toString());
}
