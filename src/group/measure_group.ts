import { isMemdriftError, MemdriftError } from '../errors.ts';
import type { Pid } from '../proc/arguments.ts';
import { readCounters } from '../proc/counters.ts';
import { readMappings, readMaps } from '../proc/mappings.ts';
import { type Rollup, readRollup } from '../proc/rollup.ts';
import type {
  GroupOptions,
  GroupProcess,
  GroupSegment,
  GroupSnapshot,
  GroupTotals,
} from './group_model.ts';
import { readChildren, withDescendants } from './process_tree.ts';
import { SegmentTable } from './segments.ts';

/**
 * Measures processes together, each physical page once: `memdrift ps --json`. The footprint is the
 * sum of Pss, plus the pages of the group's segments that no Pss of the group has. Processes are
 * read one after another, so a group that runs is not seen at one instant. Costs about 10 ms per
 * mapped GB and process, twice that where a process maps a segment.
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
  const segments = new SegmentTable(options.segments ?? null);
  const processes: GroupProcess[] = [];
  const lostPids: number[] = [];
  for (const pid of all) {
    try {
      processes.push(measureProcess(pid, segments));
    } catch (error) {
      if (named.includes(pid) || !isMemdriftError(error, 'ERR_GONE')) throw error;
      lostPids.push(pid);
    }
  }
  const list = segments.finish();
  const unknownPids = processes.filter(({ pssBytes }) => pssBytes === null).map(({ pid }) => pid);
  return {
    schemaVersion: 1,
    options: { pids: named, tree, segments: options.segments ?? null },
    processes,
    totals: totalsOf(processes, list),
    knownTotals: knownTotalsOf(processes, list),
    unknownPids,
    lostPids,
    segments: list,
  };
}

/** @throws MemdriftError ERR_GONE also when the pid became another process's meanwhile. */
function measureProcess(pid: number, segments: SegmentTable): GroupProcess {
  const counters = readCounters(pid);
  const { parentPid, name, state, rssAnonBytes, peakRssBytes } = counters;
  const identity = { pid, parentPid, name, state };
  if (counters.vmSizeBytes === null) return { ...identity, ...withoutMemory };
  const rollup = readShares(pid, segments);
  const after = readCounters(pid);
  if (after.startTimeTicks !== counters.startTimeTicks)
    throw new MemdriftError('ERR_GONE', `Process ${pid} ended and another took its number.`, {
      pid,
    });
  // It ended between the two: what the kernel showed of it was part of it at best.
  if (after.vmSizeBytes === null) return { ...identity, state: after.state, ...withoutMemory };
  return {
    ...identity,
    rssBytes: rollup?.rssBytes ?? counters.rssBytes,
    ussBytes: rollup?.ussBytes ?? null,
    pssBytes: rollup?.pssBytes ?? null,
    sharedBytes: counters.sharedBytes,
    rssAnonBytes,
    swapBytes: rollup?.swapBytes ?? counters.swapBytes,
    peakRssBytes,
  };
}

/** Zombies and kernel threads: that they have no memory is known. */
const withoutMemory = {
  rssBytes: 0,
  ussBytes: 0,
  pssBytes: 0,
  sharedBytes: 0,
  rssAnonBytes: 0,
  swapBytes: 0,
  peakRssBytes: null,
};

/** null when the kernel denies it. */
function readShares(pid: number, segments: SegmentTable): Rollup | null {
  try {
    const places = readMaps(pid);
    const rollup = readRollup(pid);
    if (places.some((place) => segments.concerns(place)))
      for (const mapping of readMappings(pid)) segments.add(pid, mapping);
    return rollup;
  } catch (error) {
    if (isMemdriftError(error, 'ERR_DENIED')) return null;
    throw error;
  }
}

const summed = ['rssBytes', 'ussBytes', 'pssBytes', 'sharedBytes', 'swapBytes'] as const;

type Sums<Value> = Record<(typeof summed)[number], Value>;

function knownTotalsOf(
  processes: readonly GroupProcess[],
  segments: readonly GroupSegment[],
): GroupTotals<number> {
  const sums = {} as Sums<number>;
  for (const field of summed)
    sums[field] = processes.reduce((sum, process) => sum + (process[field] ?? 0), 0);
  // Pages of a segment that cannot be reached are known as far as somebody maps them.
  const unmapped = segments.reduce((sum, segment) => sum + (segment.unmappedBytes ?? 0), 0);
  return {
    ...sums,
    unmappedSegmentBytes: unmapped,
    footprintBytes: sums.pssBytes + unmapped,
  };
}

function totalsOf(
  processes: readonly GroupProcess[],
  segments: readonly GroupSegment[],
): GroupTotals<number | null> {
  const known = knownTotalsOf(processes, segments);
  const sums = {} as Sums<number | null>;
  for (const field of summed)
    sums[field] = processes.some((process) => process[field] === null) ? null : known[field];
  const reachable = segments.every((segment) => segment.unmappedBytes !== null);
  const complete = sums.pssBytes !== null && reachable;
  return {
    ...sums,
    // Without everybody's Pss it is not known which pages nobody maps.
    unmappedSegmentBytes: complete ? known.unmappedSegmentBytes : null,
    footprintBytes: complete ? known.footprintBytes : null,
  };
}
