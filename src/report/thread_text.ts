/** `memdrift explain --deep`: the causes that isolates count, by thread. */
import Table from 'cli-table3';
import type { ByThread, ExplainedThread, ThreadBytes } from '../drift/explain_model.ts';
import { noBorders } from './borders.ts';
import { printable } from './printable.ts';
import { megabytes, unknown } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

const mostThreads = 20;
/** A smaller thread has no row of its own. */
const leastSurplusBytes = 50_000;
const columns = ['heapBytes', 'freeBytes', 'externalBytes'] as const;

/** Returns the table; empty for a program without Workers. */
export function threadsText({ threads, rest, surplus }: ByThread): string {
  if (threads.length === 1) return '';
  const table = new Table({
    ...borderless,
    head: ['thread', 'objects MB', 'free room', 'external', 'as of', 'name'],
    colAligns: ['right', 'right', 'right', 'right', 'left', 'left'],
  });
  const row = (name: string, bytes: ThreadBytes | null, more: readonly string[] = []): void => {
    const cells = columns.map((column) => megabytes(bytes === null ? null : bytes[column]));
    table.push([name, ...cells, ...more]);
  };
  for (const thread of threads.slice(0, mostThreads)) {
    row(`${thread.threadId}`, thread.bytes, [ageText(thread), nameText(thread)]);
  }
  const others = threads.slice(mostThreads);
  if (others.length > 0) row(`${others.length} more`, sumOf(others.map(({ bytes }) => bytes)));
  row('rest', rest, ['', 'resident, but not counted by an answering thread']);
  const isThere = columns.some((column) => surplus[column] >= leastSurplusBytes);
  if (isThere) row('less', surplus, ['', 'counted, but not resident or in other causes']);
  const all = sumOf([...threads.map(({ bytes }) => bytes), rest]);
  const total = Object.fromEntries(columns.map((name) => [name, all[name] - surplus[name]]));
  row('sum', total as unknown as ThreadBytes, [
    '',
    'v8-heap; v8-free; array-buffers, external-strings and wasm-memory',
  ]);
  const title = 'By thread, as each isolate counts; external: Buffers, WebAssembly, large strings';
  return `${title}\n${table.toString().replace(/ +$/gm, '')}`;
}

/** Returns the id with the name where it is known, as `4 (job3)`. */
export function threadName(thread: ExplainedThread): string {
  const name = nameText(thread);
  return name === '' ? `${thread.threadId}` : `${thread.threadId} (${name})`;
}

function nameText({ name, threadId }: ExplainedThread): string {
  return threadId === 0 ? 'main thread' : printable(name);
}

function ageText({ ageMs, bytes, isBusy }: ExplainedThread): string {
  if (!isBusy) return bytes === null ? 'not asked: needs Node 22.16' : 'now';
  return ageMs === null ? `busy, ${unknown}` : `busy, ${(ageMs / 1000).toFixed(0)} s ago`;
}

function sumOf(all: readonly (ThreadBytes | null)[]): ThreadBytes {
  const sum = (column: keyof ThreadBytes): number =>
    all.reduce((total, bytes) => total + (bytes?.[column] ?? 0), 0);
  return {
    heapBytes: sum('heapBytes'),
    freeBytes: sum('freeBytes'),
    externalBytes: sum('externalBytes'),
  };
}
