/** `memdrift ps`: a group's processes, their sums, and each page once. */
import Table from 'cli-table3';
import type {
  GroupProcess,
  GroupSegment,
  GroupSnapshot,
  GroupTotals,
} from '../group/group_model.ts';
import { noBorders } from './borders.ts';
import { printable } from './printable.ts';
import { megabytes, megabytesWithUnit, times } from './units.ts';

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
  const hasHuge = processes.some(({ hugetlbBytes }) => hugetlbBytes !== 0);
  const numbersOf = (one: Numbers): string[] => [
    ...[one.rssBytes, one.ussBytes, one.pssBytes, one.sharedBytes].map(megabytes),
    ...(hasHuge ? [megabytes(one.hugetlbBytes)] : []),
    megabytes(one.swapBytes),
  ];
  const names = ['RSS', 'USS', 'PSS', 'SHR', ...(hasHuge ? ['huge'] : []), 'swap', 'peak RSS'];
  const table = new Table({
    ...borderless,
    head: ['PID', ...names, 'command'],
    colAligns: ['right', ...names.map(() => 'right' as const), 'left'],
  });
  for (const one of processes)
    table.push([
      one.pid,
      ...numbersOf(one),
      megabytes(one.peakRssBytes),
      '  '.repeat(depths.get(one.pid) ?? 0) + commandText(one),
    ]);
  const count = `${processes.length} ${processes.length === 1 ? 'process' : 'processes'}, MB`;
  table.push(['sum', ...numbersOf(totals), '', count]);
  return trimmed(table.toString());
}

type Numbers = Pick<
  GroupTotals<number | null>,
  'rssBytes' | 'ussBytes' | 'pssBytes' | 'sharedBytes' | 'hugetlbBytes' | 'swapBytes'
>;

const mostCommandCharacters = 100;

function commandText({ command, name }: GroupProcess): string {
  const text = printable(command ?? name);
  const isLong = text.length > mostCommandCharacters;
  return isLong ? `${text.slice(0, mostCommandCharacters - 1)}…` : text;
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

function footprintText({ totals, knownTotals, footprintRange }: GroupSnapshot): string {
  const { footprintBytes, rssBytes } = totals;
  if (footprintBytes === null) return rangeText(footprintRange);
  const { pssBytes, unmappedSegmentBytes, hugetlbShareBytes } = knownTotals;
  const parts = [
    `${megabytes(pssBytes)} sum of PSS`,
    `${megabytes(unmappedSegmentBytes)} in segments that no process maps`,
    ...(hugetlbShareBytes > 0 ? [`${megabytes(hugetlbShareBytes)} in huge pages`] : []),
  ];
  return [
    `footprint  ${megabytesWithUnit(footprintBytes)}: each physical page once`,
    `           ${parts.join(' + ')}`,
    `           the sum of RSS is ${times(rssBytes, footprintBytes)} times that`,
  ].join('\n');
}

function rangeText({ leastBytes, mostBytes }: GroupSnapshot['footprintRange']): string {
  const bounds =
    mostBytes === null
      ? `at least ${megabytesWithUnit(leastBytes)}`
      : `${megabytes(leastBytes)} to ${megabytesWithUnit(mostBytes)}`;
  return `footprint  ${bounds}: each physical page once`;
}

const mostSegments = 20;

function segmentTable(segments: readonly GroupSegment[]): string {
  const table = new Table({
    ...borderless,
    head: [
      ...['segment', 'size', 'resident', 'swapped', 'unmapped', 'counted'],
      'holders: PID RSS (copied)',
    ],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  const sorted = [...segments].sort((a, b) => sizeOf(b) - sizeOf(a));
  for (const segment of sorted.slice(0, mostSegments))
    table.push([nameOf(segment), ...numbersOf(segment).map(megabytes), holdersText(segment)]);
  const rest = sorted.slice(mostSegments);
  if (rest.length > 0) table.push([`${rest.length} more`, ...restOf(rest).map(megabytes), '']);
  return trimmed(table.toString());
}

function sizeOf({ residentBytes, sizeBytes }: GroupSegment): number {
  return residentBytes ?? sizeBytes ?? Number.POSITIVE_INFINITY;
}

function numbersOf(segment: GroupSegment): (number | null)[] {
  const { sizeBytes, residentBytes, swappedBytes, unmappedBytes, chargedBytes } = segment;
  return [sizeBytes, residentBytes, swappedBytes, unmappedBytes, chargedBytes];
}

/** Sums of columns; null where one is not known. */
function restOf(segments: readonly GroupSegment[]): (number | null)[] {
  return segments.map(numbersOf).reduce((sums, row) =>
    sums.map((sum, i) => {
      const value = row[i] ?? null;
      return sum === null || value === null ? null : sum + value;
    }),
  );
}

/** memfd and SysV segments never have a name in a file system: that it is gone says nothing. */
function nameOf({ name, deleted }: GroupSegment): string {
  const isNamed = !/^\/(?:memfd:|SYSV[0-9a-f]{8}$|dev\/zero$|anon_hugepage$)/.test(name);
  return printable(name) + (deleted && isNamed ? ' (deleted)' : '');
}

function holdersText({ holders, outsideHolders }: GroupSegment): string {
  const texts = holders.map(({ pid, rssBytes, copiedBytes }) => {
    const copied = copiedBytes === 0 ? '' : ` (${megabytes(copiedBytes)})`;
    return `${pid} ${megabytes(rssBytes)}${copied}`;
  });
  if (outsideHolders > 0) texts.push(`${outsideHolders} outside of the group`);
  return texts.join(', ') || 'none';
}

function notesOf({ unknownPids, lostPids, hiddenSharedBytes, segments }: GroupSnapshot): string[] {
  const notes: string[] = [];
  if (unknownPids.length > 0)
    notes.push(
      `PSS and USS of ${unknownPids.join(', ')} are unknown: the kernel shows them, mappings and ` +
        'descriptors to the owner and to root (CAP_SYS_PTRACE) only. Their RSS and the ' +
        'shared memory that they may hold are in the upper bound of the footprint.',
    );
  if (lostPids.length > 0) notes.push(`Ended while they were read: ${lostPids.join(', ')}.`);
  if (segments.some(({ residentBytes }) => residentBytes === null))
    notes.push(
      'The pages of a segment are unknown, so the footprint is a range: the file has no name, no ' +
        'process has it open, and only root may follow /proc/PID/map_files.',
    );
  const counted = segments.reduce((sum, { chargedBytes }) => sum + (chargedBytes ?? 0), 0);
  if (hiddenSharedBytes !== 0 && counted > 0)
    notes.push(
      'Processes outside of the group have ' +
        `${megabytesWithUnit(hiddenSharedBytes)} of shared memory and cannot be looked into: up ` +
        `to ${megabytesWithUnit(Math.min(counted, hiddenSharedBytes ?? counted))} of the ` +
        'unmapped pages may be mapped by them.',
    );
  return notes;
}

/** Names are the processes' own: nothing in them may move the cursor or break the line. */
function trimmed(text: string): string {
  return text.replace(/[ \t]+$/gm, '');
}
