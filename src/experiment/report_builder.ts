/** Puts what main observed and what the processes said of themselves into one report. */
import type { MemdriftError } from '../errors.ts';
import type { SamplerReport } from '../proc/sampler.ts';
import type { Child } from './children.ts';
import type { ExperimentOptions } from './options.ts';
import type { OwnMemory } from './own_memory.ts';
import type { ExperimentReport, Look, ProcessReport, Role } from './report_model.ts';

export interface ReportParts {
  readonly options: ExperimentOptions;
  readonly error: MemdriftError | null;
  readonly wallMs: number;
  readonly roundsDone: number;
  readonly ownMemory: OwnMemory;
  readonly children: readonly Child[];
  readonly observed: SamplerReport;
  readonly looks: readonly Look[];
  readonly captureDir: string | null;
  readonly recorded: Pick<ExperimentReport, 'store'> & {
    readonly series: string | null;
    readonly storeLog: string | null;
  };
}

export function buildReport(parts: ReportParts): ExperimentReport {
  const { options, error, observed, recorded } = parts;
  const processes = [
    mainReport(parts),
    ...parts.children.map((child) => childReport(child, observed)),
  ];
  const arraysChecked = parts.children.reduce((sum, child) => sum + child.arraysChecked, 0);
  const allChecked = arraysChecked === 2 * options.clients * options.rounds;
  return {
    schemaVersion: 1,
    options,
    completed: error === null && allChecked,
    error: error && { code: error.code, message: error.message },
    wallMs: parts.wallMs,
    arraysChecked,
    roundsDone: parts.roundsDone,
    processes,
    totals: {
      rssBytes: sumOfPeaks(processes, 'rssBytes'),
      ussBytes: sumOfPeaks(processes, 'ussBytes'),
      pssBytes: sumOfPeaks(processes, 'pssBytes'),
      sharedBytes: sumOfPeaks(processes, 'sharedBytes'),
    },
    footprint: observed.footprint,
    store: recorded.store,
    looks: parts.looks,
    observer: observed.observer,
    files: { series: recorded.series, storeLog: recorded.storeLog, captureDir: parts.captureDir },
  };
}

type PeakName = keyof ProcessReport['peak'];

/** A sum of which one part is not known is not known. */
function sumOfPeaks(processes: readonly ProcessReport[], name: PeakName): number | null {
  return processes.reduce<number | null>((sum, { peak }) => {
    const bytes = peak[name];
    return sum === null || bytes === null ? null : sum + bytes;
  }, 0);
}

function mainReport({ ownMemory, observed }: ReportParts): ProcessReport {
  const identity = { role: 'main' as const, label: 'Main', pid: process.pid, died: null };
  return processReport(identity, ownMemory, observed);
}

function childReport(child: Child, observed: SamplerReport): ProcessReport {
  return processReport(child, child.memory, observed);
}

function processReport(
  identity: { role: Role; label: string; pid: number; died: string | null },
  memory: OwnMemory | null,
  observed: SamplerReport,
): ProcessReport {
  const seen = observed.processes.find(({ pid }) => pid === identity.pid);
  const peakDetail = {
    rssBytes: seen?.peak.rssBytes ?? null,
    ussBytes: seen?.peak.ussBytes ?? null,
    pssBytes: seen?.peak.pssBytes ?? null,
    sharedBytes: seen?.peak.sharedBytes ?? null,
    rssAnonBytes: seen?.peak.rssAnonBytes ?? null,
  };
  const { role, label, pid, died } = identity;
  return {
    role,
    label,
    pid,
    died,
    peak: {
      rssBytes: peakDetail.rssBytes?.bytes ?? null,
      ussBytes: peakDetail.ussBytes?.bytes ?? null,
      pssBytes: peakDetail.pssBytes?.bytes ?? null,
      sharedBytes: peakDetail.sharedBytes?.bytes ?? null,
      rssAnonBytes: peakDetail.rssAnonBytes?.bytes ?? null,
    },
    peakDetail,
    heap: memory && {
      heapUsedBytes: memory.series.heapUsed.lastBytes,
      heapTotalBytes: memory.series.heapTotal.lastBytes,
      externalBytes: memory.series.external.lastBytes,
      arrayBuffersBytes: memory.series.arrayBuffers.lastBytes,
    },
    heapSeries: memory?.series ?? null,
    driftBytes: memory?.driftLastBytes ?? null,
    driftFirstBytes: memory?.driftFirstBytes ?? null,
    samples: seen?.samples ?? 0,
  };
}
