import { isMemdriftError, MemdriftError } from '../errors.ts';
import type { Pid } from '../proc/arguments.ts';
import { readCounters } from '../proc/counters.ts';
import { readHeldFiles, readSwappedBytes } from '../proc/held_files.ts';
import { readMappings, readMaps } from '../proc/mappings.ts';
import { type Rollup, readRollup } from '../proc/rollup.ts';
import { readSystemMemory } from '../proc/system_memory.ts';
import { commandOf } from './command_line.ts';
import { type MeasuredProcess, totalsOf } from './footprint.ts';
import type { GroupOptions, GroupProcess, GroupSnapshot } from './group_model.ts';
import { lookOutside } from './outside.ts';
import { readChildren, withDescendants } from './process_tree.ts';
import { SegmentTable } from './segments.ts';

/**
 * Measures processes together, each physical page once: `memdrift ps --json`. The footprint is the
 * sum of Pss, which has a page's share where processes outside of the group map it too, plus what
 * no Pss has: pages of segments that no process maps, and huge pages. Processes are read one after
 * another, so a group that runs is not seen at one instant. Costs about 10 ms per mapped GB and
 * process, twice that where a process maps a segment, and 0.2 ms for each process outside of the
 * group where a segment has pages that the group does not map alone.
 * @throws MemdriftError ERR_GONE (a pid that was named, or a segment), ERR_INVALID,
 * ERR_UNSUPPORTED.
 */
export function measureGroup(pids: readonly Pid[], options: GroupOptions = {}): GroupSnapshot {
  const named = [...new Set(pids.map((pid) => (pid === 'self' ? process.pid : pid)))];
  if (named.length === 0)
    throw new MemdriftError('ERR_INVALID', 'The group is empty. Pass at least one process id.');
  // Asked for before the tree is walked: a pid that is no number or gone is the caller's error.
  for (const pid of named) readCounters(pid);
  const tree = options.tree ?? false;
  const all = tree ? withDescendants(named, readChildren()) : named;
  const segments = new SegmentTable(options.segments ?? []);
  const { measured, lostPids } = measureAll(all, named, segments);
  const hiddenSharedBytes = segments.needsOutside ? lookOutside(new Set(all), segments) : 0;
  const system = readSystemMemory();
  const { swapUsedBytes } = system;
  const list = segments.finish({ swapUsedBytes, swappedOf: readSwappedBytes });
  const processes = measured.map((one) => one.process);
  return {
    schemaVersion: 1,
    options: { pids: named, tree, segments: options.segments ?? null },
    processes,
    ...totalsOf({ measured, sums: list.sums, system, hiddenSharedBytes }),
    unknownPids: processes.filter(({ pssBytes }) => pssBytes === null).map(({ pid }) => pid),
    hiddenSharedBytes,
    lostPids,
    segments: list.segments,
  };
}

function measureAll(
  pids: readonly number[],
  named: readonly number[],
  segments: SegmentTable,
): { measured: MeasuredProcess[]; lostPids: number[] } {
  const measured: MeasuredProcess[] = [];
  const lostPids: number[] = [];
  for (const pid of pids) {
    try {
      measured.push(measureProcess(pid, segments));
    } catch (error) {
      if (named.includes(pid) || !isMemdriftError(error, 'ERR_GONE')) throw error;
      lostPids.push(pid);
    }
  }
  return { measured, lostPids };
}

/** @throws MemdriftError ERR_GONE also when the pid became another process's meanwhile. */
function measureProcess(pid: number, segments: SegmentTable): MeasuredProcess {
  const counters = readCounters(pid);
  const { parentPid, name, state, rssAnonBytes, peakRssBytes } = counters;
  const identity = { pid, parentPid, name, command: commandOf(pid), state };
  if (counters.vmSizeBytes === null) return nothingOf({ ...identity, ...withoutMemory });
  const rollup = readShares(pid, segments);
  const after = readCounters(pid);
  if (after.startTimeTicks !== counters.startTimeTicks)
    throw new MemdriftError('ERR_GONE', `Process ${pid} ended and another took its number.`, {
      pid,
    });
  // It ended between the two: what the kernel showed of it was part of it at best.
  if (after.vmSizeBytes === null)
    return nothingOf({ ...identity, state: after.state, ...withoutMemory });
  return {
    process: {
      ...identity,
      rssBytes: rollup?.rssBytes ?? counters.rssBytes,
      ussBytes: rollup?.ussBytes ?? null,
      pssBytes: rollup?.pssBytes ?? null,
      sharedBytes: counters.sharedBytes,
      rssAnonBytes,
      swapBytes: rollup?.swapBytes ?? counters.swapBytes,
      hugetlbBytes: rollup === null ? counters.hugetlbBytes : hugetlbOf(rollup),
      peakRssBytes,
    },
    pssShmemBytes: rollup?.pssShmemBytes ?? null,
    rssShmemBytes: counters.rssShmemBytes ?? 0,
  };
}

/** Kernels without huge pages do not print these two fields. */
function hugetlbOf({ privateHugetlbBytes, sharedHugetlbBytes }: Rollup): number {
  return (privateHugetlbBytes ?? 0) + (sharedHugetlbBytes ?? 0);
}

/** Zombies and kernel threads: that they have no memory is known. */
const withoutMemory = {
  rssBytes: 0,
  ussBytes: 0,
  pssBytes: 0,
  sharedBytes: 0,
  rssAnonBytes: 0,
  swapBytes: 0,
  hugetlbBytes: 0,
  peakRssBytes: null,
};

function nothingOf(process: GroupProcess): MeasuredProcess {
  return { process, pssShmemBytes: 0, rssShmemBytes: 0 };
}

/** null when the kernel denies it. */
function readShares(pid: number, segments: SegmentTable): Rollup | null {
  try {
    const places = readMaps(pid);
    const held = readHeldFiles(pid);
    const rollup = readRollup(pid);
    segments.hold(pid, held);
    if (places.some((place) => segments.concerns(place)))
      for (const mapping of readMappings(pid)) segments.add(pid, mapping);
    return rollup;
  } catch (error) {
    if (isMemdriftError(error, 'ERR_DENIED')) return null;
    throw error;
  }
}
