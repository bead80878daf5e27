/** `memdrift ps`: a group's processes, their sums, and each page once. */
import Table from 'cli-table3';
import type { GroupProcess, GroupSegment, GroupSnapshot } from '../group/group_model.ts';
import { noBorders } from './borders.ts';
import { printable } from './printable.ts';
import { megabytes, megabytesWithUnit, times, unknown } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function psText(snapshot: GroupSnapshot): string {
  const parts = [processTable(snapshot), footprintText(snapshot)];
  if (snapshot.segments.length > 0) parts.push(segmentTable(snapshot.segments));
  const notes = notesOf(snapshot);
  if (notes.length > 0) parts.push(notes.join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function processTable(snapshot: GroupSnapshot): string {
  const { processes, totals, options } = snapshot;
  const depths = options.tree ? depthsOf(processes) : new Map<number, number>();
  const table = new Table({
    ...borderless,
    head: ['PID', 'RSS', 'USS', 'PSS', 'SHR', 'swap', 'peak RSS', 'name'],
    colAligns: ['right', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const one of processes)
    table.push([
      one.pid,
      ...[one.rssBytes, one.ussBytes, one.pssBytes, one.sharedBytes].map(megabytes),
      ...[one.swapBytes, one.peakRssBytes].map(megabytes),
      '  '.repeat(depths.get(one.pid) ?? 0) + printable(one.name),
    ]);
  const { rssBytes, ussBytes, pssBytes, sharedBytes, swapBytes } = totals;
  table.push([
    'sum',
    ...[rssBytes, ussBytes, pssBytes, sharedBytes, swapBytes].map(megabytes),
    '',
    `${processes.length} ${processes.length === 1 ? 'process' : 'processes'}, MB`,
  ]);
  return trimmed(table.toString());
}

/** How far each process is below a named one; a parent comes before its children. */
function depthsOf(processes: readonly GroupProcess[]): Map<number, number> {
  const depths = new Map<number, number>();
  for (const { pid, parentPid } of processes) {
    const parent = depths.get(parentPid);
    depths.set(pid, parent === undefined ? 0 : parent + 1);
  }
  return depths;
}

function footprintText({ totals, knownTotals }: GroupSnapshot): string {
  const { footprintBytes, pssBytes, unmappedSegmentBytes, rssBytes } = totals;
  if (footprintBytes === null)
    return (
      `footprint  ${unknown}; at least ${megabytesWithUnit(knownTotals.footprintBytes)} ` +
      'in what is known'
    );
  return [
    `footprint  ${megabytesWithUnit(footprintBytes)}: each physical page once`,
    `           ${megabytes(pssBytes)} sum of PSS + ${megabytes(unmappedSegmentBytes)} in ` +
      'segments and mapped by none of them',
    `           the sum of RSS counts pages ${times(rssBytes, footprintBytes)} times`,
  ].join('\n');
}

function segmentTable(segments: readonly GroupSegment[]): string {
  const table = new Table({
    ...borderless,
    head: ['segment', 'size', 'resident', 'unmapped', 'holders: PID RSS (copied)'],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
  });
  for (const segment of segments) {
    const holders = segment.holders.map(({ pid, rssBytes, copiedBytes }) => {
      const copied = copiedBytes === 0 ? '' : ` (${megabytes(copiedBytes)})`;
      return `${pid} ${megabytes(rssBytes)}${copied}`;
    });
    table.push([
      printable(segment.name) + (segment.deleted ? ' (deleted)' : ''),
      ...[segment.sizeBytes, segment.residentBytes, segment.unmappedBytes].map(megabytes),
      holders.join(', ') || 'none',
    ]);
  }
  return trimmed(table.toString());
}

function notesOf({ unknownPids, lostPids, segments }: GroupSnapshot): string[] {
  const notes: string[] = [];
  if (unknownPids.length > 0)
    notes.push(
      `PSS and USS of ${unknownPids.join(', ')} are unknown: the kernel shows them to the owner ` +
        'and to root (CAP_SYS_PTRACE) only.',
    );
  if (lostPids.length > 0) notes.push(`Ended while they were read: ${lostPids.join(', ')}.`);
  if (segments.some(({ residentBytes }) => residentBytes === null))
    notes.push('A segment without a name can be measured by root only: its pages are unknown.');
  return notes;
}

/** Names are the processes' own: nothing in them may move the cursor or break the line. */
function trimmed(text: string): string {
  return text.replace(/[ \t]+$/gm, '');
}
