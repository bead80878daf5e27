/** `memdrift stats`: the totals of a capture as text. */
import type { CaptureStats } from '../capture/capture_model.ts';
import { printable } from './printable.ts';
import { commandOf } from './run_index.ts';
import { boundsText, lostText, megabytesWithUnit, seconds, unknown } from './units.ts';

const longestCommand = 120;

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function statsText(stats: CaptureStats): string {
  const line = (name: string, value: string): string => `${name.padEnd(22)}${printable(value)}`;
  const count = (value: number): string => value.toLocaleString('en-US');
  const isLossy = stats.droppedRecords > 0;
  const doubt = isLossy ? `, or ${lostText(stats.droppedRecords)}` : '';
  return `${[
    line(
      'process',
      `${stats.role ?? unknown}, pid ${stats.pid}, Node ${stats.nodeVersion ?? unknown}`,
    ),
    line('command', stats.argv?.join(' ') ?? unknown),
    line('tracked for', seconds(stats.durationMs)),
    line('events', `${count(stats.events)} in a file of ${megabytesWithUnit(stats.fileBytes)}`),
    line('allocations', `${count(stats.allocations)}, frees ${count(stats.frees)}`),
    line('allocated', (isLossy ? 'at least ' : '') + megabytesWithUnit(stats.totalBytes)),
    line('recorded', recorded(stats.sampleBytes)),
    line(
      'peak',
      `${megabytesWithUnit(stats.peakBytes)} live at once, at ${seconds(stats.peakAtMs)}` +
        boundsText(stats.peakRangeBytes) +
        doubt,
    ),
    line('live at the end', megabytesWithUnit(stats.leakedBytes) + doubt),
    line('lost records', `${count(stats.droppedRecords)}${lostThreads(stats.lostThreads)}`),
    line('unknown frees', `${count(stats.unknownFrees)}, of blocks from before the start`),
    ...growthLines(stats.rssGrowth),
    ...childLines(stats),
  ].join('\n')}\n`;
}

/** Says how many threads an endless signal handler kept in a record. */
function lostThreads(threads: number): string {
  if (threads === 0) return '';
  return `, and ${threads} ${threads === 1 ? 'thread' : 'threads'} never left a record`;
}

const causes: Record<string, string> = {
  'tracked-blocks': 'blocks that are live',
  'malloc-freed': 'freed, and still with malloc',
  'tracked-mappings': "mappings, V8's among them",
  'thread-stacks': 'stacks of threads',
  'shared-segment': 'segments of a store',
  file: 'files',
  memdrift: 'the tracker itself',
};

/** RSS now less RSS at the start, by cause. */
function growthLines(growth: CaptureStats['rssGrowth']): readonly string[] {
  if (growth === null) return [];
  const { fromBytes, toBytes, atMs, parts, restBytes } = growth;
  const row = (name: string, bytes: number, note = ''): string =>
    `  ${name.padEnd(30)}${megabytesWithUnit(bytes).padStart(12)}${note}`;
  return [
    '',
    `RSS grew from ${megabytesWithUnit(fromBytes)} to ${megabytesWithUnit(toBytes)} ` +
      `at ${seconds(atMs)}, the highest look, by`,
    ...parts.map(({ cause, bytes, exactness }) =>
      row(causes[cause] ?? cause, bytes, exactness === 'estimated' ? '  estimated' : ''),
    ),
    row('the rest', restBytes),
    row('together', toBytes - fromBytes),
  ];
}

const mostChildren = 10;

/** Lists processes without a capture, the largest first. */
function childLines(stats: CaptureStats): readonly string[] {
  const { children, childrenLeftOut, endedChildPeakRssBytes } = stats;
  const others = children.filter(({ isNode }) => !isNode);
  if (others.length === 0) return [];
  const row = (bytes: number, text: string): string =>
    `  ${megabytesWithUnit(bytes).padStart(12)}  ${printable(text)}`;
  const rows = others.slice(0, mostChildren).map(({ peakRssBytes, pid, ...child }) => {
    const command = commandOf(child).slice(0, longestCommand);
    return row(peakRssBytes, `${command}, pid ${pid}`);
  });
  const left = others.length - rows.length;
  const largestLeft = others[mostChildren]?.peakRssBytes ?? 0;
  return [
    '',
    'peak RSS (lower bounds) of started processes that do not run Node',
    ...rows,
    ...(left > 0 ? [row(largestLeft, `or less each: ${left} more (--json has all)`)] : []),
    ...(childrenLeftOut > 0 ? [`  ${unknown.padStart(12)}  ${childrenLeftOut} later ones`] : []),
    ...(endedChildPeakRssBytes === null
      ? []
      : [
          row(
            endedChildPeakRssBytes,
            'highest of all ended processes, Node included, as the kernel reports',
          ),
        ]),
  ];
}

function recorded(sampleBytes: number): string {
  if (sampleBytes === 0) return 'every allocation';
  return `one in ${sampleBytes.toLocaleString('en-US')} bytes: sizes are estimates`;
}
