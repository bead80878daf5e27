/** A look at a group, as `memdrift top` has it, of what a test says. */
import type { GroupSegment } from '../../src/group/group_model.ts';
import type { TopModel, TopMoment, TopProcess } from '../../src/top/top_model.ts';

const MB = 1e6;

/** Sizes in MB; RSS is the sum of its parts. */
export interface MadeProcess {
  readonly pid: number;
  readonly parentPid?: number;
  readonly name?: string;
  readonly command?: string | null;
  readonly anon?: number;
  readonly file?: number;
  readonly shmem?: number;
  /** Null: not known. */
  readonly pss?: number | null;
  readonly uss?: number | null;
  readonly sharesAgeMs?: number | null;
  readonly isDenied?: boolean;
  readonly isSelf?: boolean;
}

export function processOf(made: MadeProcess): TopProcess {
  const { pid, parentPid = 1, name = `p${pid}`, command = `/bin/${name} --flag` } = made;
  const { anon = 0, file = 0, shmem = 0, pss = null, uss = null, sharesAgeMs = null } = made;
  return {
    pid,
    parentPid,
    name,
    command,
    rssBytes: (anon + file + shmem) * MB,
    rssAnonBytes: anon * MB,
    rssFileBytes: file * MB,
    rssShmemBytes: shmem * MB,
    swapBytes: 0,
    pssBytes: pss === null ? null : pss * MB,
    ussBytes: uss === null ? null : uss * MB,
    sharesAgeMs,
    isDenied: made.isDenied ?? false,
    isSelf: made.isSelf ?? false,
  };
}

export interface MadeLook {
  readonly processes: readonly MadeProcess[];
  readonly footprint?: number | null;
  readonly segments?: readonly GroupSegment[];
  readonly history?: readonly TopMoment[];
  readonly ended?: number;
}

export function lookOf(made: MadeLook): TopModel {
  const processes = made.processes.map(processOf);
  const { footprint = null, segments = [], history = [], ended = 0 } = made;
  const sum = (name: 'rssBytes' | 'rssAnonBytes' | 'rssFileBytes' | 'rssShmemBytes'): number =>
    processes.reduce((all, process) => all + (process[name] ?? 0), 0);
  const shares = (name: 'pssBytes' | 'ussBytes'): number | null =>
    processes.reduce<number | null>((all, process) => {
      const bytes = process[name];
      return all === null || bytes === null ? null : all + bytes;
    }, 0);
  return {
    pids: [1],
    group: 'the tree of 1',
    atMs: 5_000,
    timeMs: Date.UTC(2026, 0, 1),
    processes,
    totals: {
      rssBytes: sum('rssBytes'),
      rssAnonBytes: sum('rssAnonBytes'),
      rssFileBytes: sum('rssFileBytes'),
      rssShmemBytes: sum('rssShmemBytes'),
      swapBytes: 0,
      pssBytes: shares('pssBytes'),
      ussBytes: shares('ussBytes'),
      knownPssBytes: processes.reduce((all, { pssBytes }) => all + (pssBytes ?? 0), 0),
      knownFootprintBytes: footprint === null ? 0 : footprint * MB,
      unknownPss: processes.filter(({ pssBytes }) => pssBytes === null).length,
      footprintBytes: footprint === null ? null : footprint * MB,
      footprintExactness: 'estimated',
      pssRangeBytes: [0, sum('rssBytes')],
      footprintRangeBytes: [0, sum('rssBytes')],
      readAtMs: null,
    },
    segments,
    history,
    ended,
    ownCpuPercent: 0.4,
  };
}

/** RSS of its holders in MB by pid. */
export function segmentOf(
  name: string,
  residentBytes: number | null,
  rssOf: Readonly<Record<number, number>> = {},
): GroupSegment {
  const held = { copiedBytes: 0, descriptors: 0 };
  const holders = Object.entries(rssOf).map(([pid, rss]) => {
    return { pid: Number(pid), rssBytes: rss * MB, pssBytes: rss * MB, ...held };
  });
  const place = { device: '0:1', inode: 1, deleted: residentBytes === null };
  const sizes = { sizeBytes: residentBytes, residentBytes, swappedBytes: 0, unmappedBytes: 0 };
  const rest = { chargedBytes: 0, isHugetlb: false, outsideHolders: 0 };
  return { name, ...place, ...sizes, ...rest, holders };
}
