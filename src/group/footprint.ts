/** Sums over a group, and its footprint with bounds for unknown parts. */
import type { SystemMemory } from '../proc/system_memory.ts';
import type { GroupProcess, GroupSnapshot, GroupTotals } from './group_model.ts';
import { exactly, exactOrNull, type Range, type SegmentSum, sumOf } from './segment_sum.ts';

export interface MeasuredProcess {
  readonly process: GroupProcess;
  /** Shared memory within its Pss; null: not reported. */
  readonly pssShmemBytes: number | null;
  /** Shared memory within its RSS. */
  readonly rssShmemBytes: number;
}

const summed = [
  ...['rssBytes', 'ussBytes', 'pssBytes', 'sharedBytes', 'swapBytes', 'hugetlbBytes'],
] as const satisfies readonly (keyof GroupTotals<number>)[];

type Totals = Pick<GroupSnapshot, 'totals' | 'knownTotals' | 'footprintRange'>;

export interface Measured {
  readonly measured: readonly MeasuredProcess[];
  readonly sums: readonly SegmentSum[];
  readonly system: SystemMemory;
  readonly hiddenSharedBytes: number | null;
}

export function totalsOf({ measured, sums, system, hiddenSharedBytes }: Measured): Totals {
  const processes = measured.map(({ process }) => process);
  const pss = sumOf(measured.map(pssRange));
  const unmapped = sumOf(sums.map((sum) => sum.unmapped));
  const hugetlb = sumOf([...processes.map(hiddenHugetlb), ...sums.map((sum) => sum.hugetlb)]);
  const hasUnknown = processes.some(({ pssBytes }) => pssBytes === null);
  const unseen =
    hasUnknown || sums.some(({ isUnreached }) => isUnreached)
      ? { least: 0, most: mostUnseen(measured, unmapped, system) }
      : exactly(0);
  const footprint = sumOf([pss, unmapped, hugetlb, unseen]);
  const isSeen = unseen.most === 0;
  const beside = unmapped.least + hugetlb.least;
  const maybeOthers = Math.min(beside, hiddenSharedBytes ?? beside);
  return {
    totals: {
      ...sumsOf(processes),
      unmappedSegmentBytes: isSeen ? exactOrNull(unmapped) : null,
      hugetlbShareBytes: isSeen ? exactOrNull(hugetlb) : null,
      footprintBytes: exactOrNull(footprint),
    },
    knownTotals: {
      ...knownSumsOf(processes),
      unmappedSegmentBytes: unmapped.least,
      hugetlbShareBytes: hugetlb.least,
      footprintBytes: footprint.least,
    },
    footprintRange: { leastBytes: footprint.least - maybeOthers, mostBytes: footprint.most },
  };
}

/** A process's share is at most its mappings; their shared part is within the machine's. */
function pssRange({ process, rssShmemBytes }: MeasuredProcess): Range {
  const { pssBytes, rssBytes } = process;
  if (pssBytes !== null) return exactly(pssBytes);
  return { least: 0, most: rssBytes === null ? null : Math.max(0, rssBytes - rssShmemBytes) };
}

function hiddenHugetlb({ pssBytes, hugetlbBytes }: GroupProcess): Range {
  return pssBytes === null ? { least: 0, most: hugetlbBytes ?? 0 } : exactly(0);
}

/** The machine's shared memory less the other parts; it includes free huge pages. */
function mostUnseen(
  measured: readonly MeasuredProcess[],
  unmapped: Range,
  { shmemBytes, hugetlbBytes }: SystemMemory,
): number | null {
  if (shmemBytes === null) return null;
  const shown = measured.reduce((sum, { pssShmemBytes }) => sum + (pssShmemBytes ?? 0), 0);
  return Math.max(0, shmemBytes - shown - unmapped.least) + (hugetlbBytes ?? 0);
}

type Sums<Value> = Record<(typeof summed)[number], Value>;

function knownSumsOf(processes: readonly GroupProcess[]): Sums<number> {
  const sums = {} as Sums<number>;
  for (const field of summed)
    sums[field] = processes.reduce((sum, process) => sum + (process[field] ?? 0), 0);
  return sums;
}

function sumsOf(processes: readonly GroupProcess[]): Sums<number | null> {
  const known = knownSumsOf(processes);
  const sums = {} as Sums<number | null>;
  for (const field of summed)
    sums[field] = processes.some((process) => process[field] === null) ? null : known[field];
  return sums;
}
