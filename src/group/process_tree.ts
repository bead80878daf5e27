import { readdirSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import { readCountersIfAny } from '../proc/counters.ts';

/** Every process of this pid namespace by its parent; one that ends meanwhile is left out. */
export function readChildren(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const pid of listPids()) {
    const counters = readCountersIfAny(pid);
    if (counters === null) continue;
    const siblings = children.get(counters.parentPid);
    if (siblings) siblings.push(pid);
    else children.set(counters.parentPid, [pid]);
  }
  return children;
}

/** @throws MemdriftError ERR_UNSUPPORTED */
export function listPids(): number[] {
  try {
    return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []));
  } catch (cause) {
    throw new MemdriftError('ERR_UNSUPPORTED', 'The list of processes in /proc cannot be read.', {
      cause,
    });
  }
}

/** `roots` and all that descend from them, each once, parents before their children. */
export function withDescendants(
  roots: readonly number[],
  children: ReadonlyMap<number, readonly number[]>,
): number[] {
  const found = new Set<number>();
  const visit = (pid: number): void => {
    if (found.has(pid)) return;
    found.add(pid);
    for (const child of [...(children.get(pid) ?? [])].sort((a, b) => a - b)) visit(child);
  };
  for (const root of roots) visit(root);
  return [...found];
}
