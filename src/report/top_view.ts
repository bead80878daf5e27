/** Which processes of a look are shown, and in which order. */
import type { TopProcess } from '../top/top_model.ts';

/** Columns by which processes can be in order; the largest are first, names from a to z. */
export const sortKeys = {
  rss: 'RSS',
  pss: 'PSS',
  uss: 'USS',
  anon: 'anonymous',
  file: 'file',
  shmem: 'shmem',
  swap: 'swap',
  pid: 'PID',
  name: 'name',
} as const;

export type SortKey = keyof typeof sortKeys;

/** How the processes of a look are shown. */
export interface TopView {
  readonly sort: SortKey;
  readonly isReversed: boolean;
  /** Children below their parents. */
  readonly isTree: boolean;
  /** Those whose name, arguments or PID has this, in whatever case; empty: all. */
  readonly filter: string;
  /** Arguments in the place of the name. */
  readonly showsCommand: boolean;
  readonly showsSegments: boolean;
}

export const firstView: TopView = {
  sort: 'rss',
  isReversed: false,
  isTree: false,
  filter: '',
  showsCommand: false,
  showsSegments: true,
};

export interface TopRow {
  readonly process: TopProcess;
  /** In a tree, for each level from the outermost: whether more of it follow below. */
  readonly branches: readonly boolean[];
}

/** In a tree those that the filter leaves have their parents above them. */
export function topRows(processes: readonly TopProcess[], view: TopView): readonly TopRow[] {
  const sorted = [...processes].sort(orderOf(view));
  const wanted = view.filter.toLowerCase();
  if (!view.isTree)
    return sorted
      .filter((process) => matches(process, wanted))
      .map((process) => ({ process, branches: [] }));
  return treeRows(sorted, wanted);
}

function orderOf({ sort, isReversed }: TopView): (a: TopProcess, b: TopProcess) => number {
  const order = orders[sort];
  const sign = isReversed ? -1 : 1;
  return (a, b) => sign * order(a, b) || a.pid - b.pid;
}

type Order = (a: TopProcess, b: TopProcess) => number;

/** The largest first, and what is not known last. */
function bySize(name: 'rssBytes' | 'pssBytes' | 'ussBytes' | SplitName | 'swapBytes'): Order {
  return (a, b) => (b[name] ?? -1) - (a[name] ?? -1);
}

type SplitName = 'rssAnonBytes' | 'rssFileBytes' | 'rssShmemBytes';

const orders: Readonly<Record<SortKey, Order>> = {
  rss: bySize('rssBytes'),
  pss: bySize('pssBytes'),
  uss: bySize('ussBytes'),
  anon: bySize('rssAnonBytes'),
  file: bySize('rssFileBytes'),
  shmem: bySize('rssShmemBytes'),
  swap: bySize('swapBytes'),
  pid: (a, b) => a.pid - b.pid,
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
};

function matches({ pid, name, command }: TopProcess, wanted: string): boolean {
  if (wanted === '') return true;
  return (
    name.toLowerCase().includes(wanted) ||
    (command ?? '').toLowerCase().includes(wanted) ||
    String(pid) === wanted
  );
}

function treeRows(sorted: readonly TopProcess[], wanted: string): readonly TopRow[] {
  const byPid = new Map(sorted.map((process) => [process.pid, process]));
  const kept = new Set<number>();
  for (const process of sorted) {
    if (!matches(process, wanted)) continue;
    let one: TopProcess | undefined = process;
    while (one !== undefined && !kept.has(one.pid)) {
      kept.add(one.pid);
      one = byPid.get(one.parentPid);
    }
  }
  const children = new Map<number, TopProcess[]>();
  const roots: TopProcess[] = [];
  for (const process of sorted) {
    if (!kept.has(process.pid)) continue;
    const { parentPid } = process;
    if (!kept.has(parentPid) || parentPid === process.pid) roots.push(process);
    else append(children, process);
  }
  const rows: TopRow[] = [];
  // A loop, not calls within calls: a chain of parents may be as long as there are processes.
  const todo = roots.map((process): TopRow => ({ process, branches: [] })).reverse();
  for (let row = todo.pop(); row !== undefined; row = todo.pop()) {
    rows.push(row);
    const below = children.get(row.process.pid) ?? [];
    for (let i = below.length - 1; i >= 0; i--)
      todo.push({
        process: below[i] as TopProcess,
        branches: [...row.branches, i < below.length - 1],
      });
  }
  const wantedOnes = sorted.filter(({ pid }) => kept.has(pid));
  return rows.length === kept.size ? rows : [...rows, ...othersOf(wantedOnes, rows)];
}

/** Who is each other's parent, as looks at two moments can have it, is below nobody. */
function othersOf(sorted: readonly TopProcess[], rows: readonly TopRow[]): readonly TopRow[] {
  const shown = new Set(rows.map(({ process }) => process.pid));
  return sorted.flatMap((process) => (shown.has(process.pid) ? [] : [{ process, branches: [] }]));
}

function append(children: Map<number, TopProcess[]>, process: TopProcess): void {
  const siblings = children.get(process.parentPid);
  if (siblings === undefined) children.set(process.parentPid, [process]);
  else siblings.push(process);
}
