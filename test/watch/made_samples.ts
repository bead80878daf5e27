/** Samples made by hand. */
import type { Sample } from '../../src/proc/sampler.ts';
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
    pssErrorBytes: 0,
    copiedBytesMost: 0,
    faultBytes: 0,
    pssShmemBytes: 0,
    passedPssShmemBytes: 0,
    passedRssShmemBytes: 0,
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
    unmappedSegmentBytes: 0,
    lostProcesses: 0,
    endedEarly: { atLeast: 0, atMost: 0 },
    hugeBytes: 0,
    pagesPerFault: 16,
    ...fields,
  };
}
