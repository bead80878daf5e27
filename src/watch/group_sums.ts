/** One look at a group, as those who account for memory would sum it up. */
import { known } from './meters.ts';
import type { Part } from './swings.ts';
import type { ProcessRow, Proctrack } from './watch_model.ts';

/** Who of a sample is what: all by ppid, as SLURM does. */
export interface TreeView {
  /** Of the group, wherever they have gone. */
  readonly group: readonly ProcessRow[];
  /** Those that SLURM finds from the roots. */
  readonly seen: readonly ProcessRow[];
  /** Those with a space in their name, and all below them: hidden, unless proctrack is cgroup. */
  readonly hiddenByName: readonly ProcessRow[];
  /** Reparented: no way leads to them from a root. */
  readonly orphans: readonly ProcessRow[];
}

export interface TreeRules {
  readonly roots: ReadonlySet<number>;
  /** Pids that are followed and yet not of the group: a watch that is outside of it. */
  readonly outside: ReadonlySet<number>;
  readonly proctrack: Proctrack;
}

/** Sorts the processes of one sample. */
export function treeOf(rows: readonly ProcessRow[], rules: TreeRules): TreeView {
  const group = rows.filter((row) => !rules.outside.has(row.pid));
  const children = new Map<number, ProcessRow[]>();
  for (const row of group) {
    const siblings = children.get(row.parentPid);
    if (siblings) siblings.push(row);
    else children.set(row.parentPid, [row]);
  }
  const seen: ProcessRow[] = [];
  const hiddenByName: ProcessRow[] = [];
  const reached = new Set<number>();
  const visit = (row: ProcessRow, isHidden: boolean): void => {
    if (reached.has(row.pid)) return;
    reached.add(row.pid);
    // The task itself is known to SLURM by its pid, whatever its name.
    const hides = isHidden || (row.name.includes(' ') && !rules.roots.has(row.pid));
    if (hides) hiddenByName.push(row);
    if (!hides || rules.proctrack === 'cgroup') seen.push(row);
    for (const child of children.get(row.pid) ?? []) visit(child, hides);
  };
  for (const row of group) if (rules.roots.has(row.pid)) visit(row, false);
  const orphans = group.filter((row) => !reached.has(row.pid));
  return { group, seen, hiddenByName, orphans };
}

/** JobAcctGatherParams unset: field 24 of stat, which is what the kernel has not yet summed up. */
export function slurmDefault({ seen }: TreeView): Part[] {
  return seen.map((row) => ({ row, estimate: known(row.statRssBytes ?? row.rssBytes ?? 0) }));
}

/** NoShared: resident less shared of statm; a process that shares more than it has is left out. */
export function slurmNoShared({ seen }: TreeView): Part[] {
  return seen.map((row) => ({
    row,
    estimate: known(Math.max(0, (row.rssBytes ?? 0) - (row.sharedBytes ?? 0))),
  }));
}
