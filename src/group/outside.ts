/** Processes outside a group that share its segments. */
import { isMemdriftError } from '../errors.ts';
import { readCountersIfAny } from '../proc/counters.ts';
import { readHeldFiles, readHeldFilesAsync } from '../proc/held_files.ts';
import { readMappings, readMappingsAsync, readMaps, readMapsAsync } from '../proc/mappings.ts';
import { listPids } from './process_tree.ts';
import type { SegmentTable } from './segments.ts';

export type OutsideTable = Pick<SegmentTable, 'has' | 'addOutside' | 'holdOutside'>;

/**
 * Adds to `segments` the other processes that map or hold them. Returns the shared memory and huge
 * pages of processes that we may not examine, which may belong to segments; null: unknown.
 */
export function lookOutside(members: ReadonlySet<number>, segments: OutsideTable): number | null {
  let hidden: number | null = 0;
  for (const pid of listPids()) {
    if (members.has(pid)) continue;
    const counters = readCountersIfAny(pid);
    // Kernel threads and zombies hold nothing.
    if (counters?.vmSizeBytes === null || look(pid, segments)) continue;
    const shared = counters?.rssShmemBytes ?? null;
    // Kernels without huge pages do not print their line.
    if (hidden !== null && shared !== null) hidden += shared + (counters?.hugetlbBytes ?? 0);
    else hidden = null;
  }
  return hidden;
}

/** Returns false when the process is hidden from us. */
function look(pid: number, segments: OutsideTable): boolean {
  try {
    segments.holdOutside(pid, readHeldFiles(pid).files);
    if (!readMaps(pid).some((place) => segments.has(place))) return true;
    for (const mapping of readMappings(pid)) segments.addOutside(pid, mapping);
    return true;
  } catch (error) {
    return !isHidden(error);
  }
}

/**
 * lookOutside on threads of libuv's pool, a process at a time: hundreds of processes take a fifth
 * of a second, in which the event loop must go on.
 */
export async function lookOutsideAsync(
  members: ReadonlySet<number>,
  segments: OutsideTable,
): Promise<void> {
  for (const pid of listPids()) if (!members.has(pid)) await lookAsync(pid, segments);
}

async function lookAsync(pid: number, segments: OutsideTable): Promise<void> {
  try {
    segments.holdOutside(pid, (await readHeldFilesAsync(pid)).files);
    if (!(await readMapsAsync(pid)).some((place) => segments.has(place))) return;
    for (const mapping of await readMappingsAsync(pid)) segments.addOutside(pid, mapping);
  } catch (error) {
    isHidden(error);
  }
}

/** Returns whether the process is hidden from us; it has ended otherwise. */
function isHidden(error: unknown): boolean {
  if (isMemdriftError(error, 'ERR_GONE')) return false;
  if (isMemdriftError(error, 'ERR_DENIED')) return true;
  throw error;
}
