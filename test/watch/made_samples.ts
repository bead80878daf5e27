/** Samples made by hand. */
import type { GroupBounds, Sample } from '../../src/proc/sampler.ts';
import type { ProcessRow } from '../../src/watch/watch_model.ts';

export const megabyte = 1_000_000;

/** A process with so many MB of its own; the rest is 0, and PSS is as of a read at that moment. */
export function row(pid: number, parentPid: number, fields: Partial<ProcessRow> = {}): ProcessRow {
  const rssBytes = fields.rssBytes ?? 0;
  return {
    pid,
    parentPid,
    name: `p${pid}`,
    startTimeTicks: pid,
    rssBytes,
    rssAnonBytes: rssBytes,
    rssFileBytes: 0,
    rssShmemBytes: 0,
    swapBytes: 0,
    sharedBytes: 0,
    statRssBytes: rssBytes,
    peakRssBytes: rssBytes,
    cpuMs: 0,
    pssBytes: rssBytes,
    ussBytes: rssBytes,
    passedAtMs: 0,
    denied: false,
    faultBytes: 0,
    pssRangeBytes: [0, rssBytes],
    ...fields,
  };
}

export function sample(
  atMs: number,
  processes: readonly ProcessRow[],
  fields: Partial<Sample> = {},
): Sample {
  return {
    atMs,
    processes,
    segments: [],
    sumRssBytes: 0,
    footprintBytes: 0,
    footprintExactness: 'estimated',
    group: groupOf(processes),
    lostProcesses: 0,
    endedEarly: { atLeast: 0, atMost: 0 },
    hugeBytes: 0,
    pagesPerFault: 16,
    ...fields,
  };
}

/** Returns exact bounds; unknown PSS is between 0 and RSS. */
export function groupOf(processes: readonly ProcessRow[]): Sample['group'] {
  const sum = (bytesOf: (row: ProcessRow) => number): number =>
    processes.reduce((bytes, row) => bytes + bytesOf(row), 0);
  const pss = boundsOf(
    sum(({ pssBytes }) => pssBytes ?? 0),
    sum(({ pssBytes, rssBytes }) => pssBytes ?? rssBytes ?? 0),
  );
  const uss = boundsOf(0, pss.rangeBytes[1]);
  return { pss, uss, footprint: pss, readAtMs: 0 };
}

export function boundsOf(low: number, high = low, between = high): GroupBounds {
  return { valueBytes: low, rangeBytes: [low, high], mostBetweenBytes: between };
}
