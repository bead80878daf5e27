/** `memdrift explain`: causes, largest first, then malloc's arenas, then what to do. */
import Table from 'cli-table3';
import type { ExplainedMalloc, ExplainedV8, Explanation } from '../drift/explain_model.ts';
import { noBorders } from './borders.ts';
import { adviceOf } from './explain_advice.ts';
import { printable } from './printable.ts';
import { deepText } from './retention_text.ts';
import { threadsText } from './thread_text.ts';
import { counted, megabytes, megabytesWithUnit, percent, unknown } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

const mostArenas = 10;

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function explainText(explanation: Explanation): string {
  const { malloc, v8 } = explanation;
  const parts = [headText(explanation), causeTable(explanation), besideText(explanation)];
  if (malloc !== null) parts.push(mallocText(malloc));
  if (v8 !== null) parts.push(v8Text(v8));
  if (explanation.byThread !== null) parts.push(threadsText(explanation.byThread));
  if (explanation.deep !== null) parts.push(deepText(explanation.deep));
  parts.push(adviceOf(explanation).join('\n'));
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function headText({ pid, name, source, nodeVersion, pauseMs, sourceReason }: Explanation): string {
  const what = `process ${pid} (${printable(name)})`;
  const paused = pauseMs === null ? '' : `; its main thread waited ${pauseMs.toFixed(0)} ms`;
  if (source !== 'outside')
    return `${what}, Node ${nodeVersion ?? unknown}, asked from within${paused}`;
  return `${what}, estimated from outside: ${printable(sourceReason ?? '')}`;
}

function causeTable({ causes, unexplainedBytes, rssBytes }: Explanation): string {
  const table = new Table({
    ...borderless,
    head: ['cause', 'MB', '%', 'exactness', 'detail'],
    colAligns: ['left', 'right', 'right', 'left', 'left'],
  });
  const row = (name: string, bytes: number, rest: readonly string[]): void => {
    table.push([name, megabytes(bytes), percent(bytes, rssBytes), ...rest]);
  };
  const unexplained = ['', 'anonymous memory of an unknown holder'];
  let isUnexplainedThere = false;
  for (const { cause, bytes, exactness, detail } of causes) {
    if (!isUnexplainedThere && (bytes ?? -1) < unexplainedBytes) {
      row('unexplained', unexplainedBytes, unexplained);
      isUnexplainedThere = true;
    }
    if (bytes === null) table.push([cause, '-', '-', exactness, printable(detail)]);
    else if (bytes > 0) row(cause, bytes, [exactness, printable(detail)]);
  }
  if (!isUnexplainedThere) row('unexplained', unexplainedBytes, unexplained);
  row('sum', rssBytes, ['kernel', 'Rss of one read of smaps']);
  return trimmed(table.toString());
}

function besideText({ beside, vmRssBytes }: Explanation): string {
  const holders = beside.anonHugePages.map(({ holder, bytes }) => `${holder} ${megabytes(bytes)}`);
  const { forkShared } = beside;
  const huge = holders.length === 0 ? '' : ` (${holders.join(', ')})`;
  return [
    'Beside, not to be added:',
    `  VmRSS ${megabytesWithUnit(vmRssBytes)}, by the kernel's counters at about the same time`,
    `  ${megabytesWithUnit(beside.anonHugePagesBytes)} of it in transparent huge pages${huge}`,
    `  ${megabytesWithUnit(beside.swapBytes)} swapped out`,
    ...(beside.hugetlbBytes > 0
      ? [`  ${megabytesWithUnit(beside.hugetlbBytes)} in hugetlbfs, in no Rss`]
      : []),
    ...(forkShared.rssBytes > 0
      ? [
          `  ${megabytesWithUnit(forkShared.rssBytes)} anonymous, shared with other processes ` +
            `since a fork; this one's PSS of these is ${megabytesWithUnit(forkShared.pssBytes)}`,
        ]
      : []),
  ].join('\n');
}

function mallocText({ allocator, arenas, mapped, reason }: ExplainedMalloc): string {
  const title = `malloc (${printable(allocator)})`;
  if (arenas === null) return `${title}: ${printable(reason ?? unknown)}`;
  const table = new Table({
    ...borderless,
    head: ['arena', 'MB', 'in use by all', 'of it Buffers', 'freed', 'top', 'trim gives back'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  const named = arenas.map((arena, i) => ({ ...arena, name: arena.isMain ? 'main' : `${i}` }));
  named.sort((a, b) => b.residentBytes - a.residentBytes);
  const shown = [...named.slice(0, mostArenas)];
  const rest = named.slice(mostArenas);
  const columns = [
    'residentBytes',
    'inUseBytes',
    'arrayBufferBytes',
    'freedBytes',
    'topBytes',
    'trimBytes',
  ] as const;
  for (const arena of shown) {
    table.push([arena.name, ...columns.map((column) => megabytes(arena[column]))]);
  }
  if (rest.length > 0) {
    const sums = columns.map((column) => rest.reduce((sum, arena) => sum + arena[column], 0));
    table.push([`${rest.length} more`, ...sums.map(megabytes)]);
  }
  const blocks = mapped && `and ${counted(mapped.count, 'block')} that are mappings of their own`;
  const resident = mapped && `${megabytesWithUnit(mapped.residentBytes)} resident`;
  return [title, trimmed(table.toString()), mapped ? `${blocks}, ${resident}` : '']
    .filter((part) => part !== '')
    .join('\n');
}

function v8Text(v8: ExplainedV8): string {
  const others = v8.isolates - 1;
  const limit = v8.constrainedBytes;
  return [
    'V8 says of itself, resident or not' +
      (others > 0 ? ` (of this isolate; there ${others === 1 ? 'is' : 'are'} ${others} more)` : ''),
    `  heapTotal ${megabytes(v8.heapTotalBytes)}, heapUsed ${megabytes(v8.heapUsedBytes)}, ` +
      `physical ${megabytes(v8.physicalBytes)}, malloced ${megabytes(v8.mallocedBytes)}`,
    `  external ${megabytes(v8.externalBytes)}, arrayBuffers ${megabytes(v8.arrayBuffersBytes)}`,
    `  heap_size_limit ${megabytesWithUnit(v8.heapSizeLimitBytes)}; cgroup: ` +
      (limit === null ? 'no limit that Node knows' : megabytesWithUnit(limit)) +
      (limit !== null && limit < v8.heapSizeLimitBytes
        ? ', less than that: the kernel would end the process before V8 meets its own limit'
        : ''),
  ].join('\n');
}

/** Lines without the blanks at their ends that a table makes. */
export function trimmed(text: string): string {
  return text.replace(/ +$/gm, '');
}
