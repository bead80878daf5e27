/** A report whose every number is different, so that a number in the wrong place shows. */
import type {
  ExperimentReport,
  HeapSeries,
  Peak,
  ProcessReport,
} from '../../src/experiment/report_model.ts';

function peak(bytes: number, exactness: Peak['exactness'], samples: number): Peak {
  return { bytes, atMs: 1000, exactness, samples };
}

function series(firstBytes: number, lastBytes: number, peakBytes: number): HeapSeries {
  return { firstBytes, lastBytes, peakBytes };
}

/** A process with numbers that start at `base` MB. */
export function sampleProcess(
  identity: Pick<ProcessReport, 'role' | 'label' | 'pid'>,
  base: number,
): ProcessReport {
  const mb = (n: number): number => Math.round((base + n) * 1e6);
  const peakDetail = {
    rssBytes: peak(mb(900), 'kernel', 612),
    ussBytes: peak(mb(50.5), 'sampled', 3),
    pssBytes: peak(mb(80.25), 'sampled', 3),
    sharedBytes: peak(mb(840), 'sampled', 612),
    rssAnonBytes: peak(mb(40), 'sampled', 612),
  };
  const heapSeries = {
    heapUsed: series(mb(4.01), mb(5.02), mb(6.03)),
    heapTotal: series(mb(7.04), mb(8.05), mb(9.06)),
    external: series(mb(1.07), mb(2.08), mb(3.09)),
    arrayBuffers: series(mb(0.1), mb(0.11), mb(0.12)),
    rss: series(mb(45), mb(850), mb(900)),
    storeMapped: series(0, 800e6, 840e6),
  };
  const driftOf = (which: 'firstBytes' | 'lastBytes'): number =>
    heapSeries.rss[which] - heapSeries.heapTotal[which] - heapSeries.storeMapped[which];
  return {
    ...identity,
    died: null,
    peak: {
      rssBytes: peakDetail.rssBytes.bytes,
      ussBytes: peakDetail.ussBytes.bytes,
      pssBytes: peakDetail.pssBytes.bytes,
      sharedBytes: peakDetail.sharedBytes.bytes,
      rssAnonBytes: peakDetail.rssAnonBytes.bytes,
    },
    peakDetail,
    heap: {
      heapUsedBytes: heapSeries.heapUsed.lastBytes,
      heapTotalBytes: heapSeries.heapTotal.lastBytes,
      externalBytes: heapSeries.external.lastBytes,
      arrayBuffersBytes: heapSeries.arrayBuffers.lastBytes,
    },
    heapSeries,
    driftBytes: driftOf('lastBytes'),
    driftFirstBytes: driftOf('firstBytes'),
    samples: 612,
  };
}

/** A process that was killed before it could say anything, and of which little was seen. */
export function silentProcess(label: string): ProcessReport {
  const process = sampleProcess({ role: 'client', label, pid: 99 }, 0);
  const nothing = { ussBytes: null, pssBytes: null };
  return {
    ...process,
    died: 'killed by SIGKILL',
    peak: { ...process.peak, ...nothing },
    peakDetail: { ...process.peakDetail, ...nothing },
    heap: null,
    heapSeries: null,
    driftBytes: null,
    driftFirstBytes: null,
  };
}

export function sampleReport(more: Partial<ExperimentReport> = {}): ExperimentReport {
  return {
    schemaVersion: 1,
    options: {
      arraySizeBytes: 100_000_000,
      storeBytes: 10_000_000_000,
      storeLoweredFromBytes: null,
      timeoutMs: 1_000_000,
      pollIntervalMs: 1000,
      clients: 2,
      rounds: 20,
      workMs: 1000,
      trim: true,
      placement: 'rotate',
      sampleIntervalMs: 100,
      observerBudgetPercent: 1,
      tmpDir: '/somewhere/tmp',
      captureDir: null,
      jsonFile: '/somewhere/report.json',
      quiet: false,
    },
    completed: true,
    error: null,
    wallMs: 21_500,
    arraysChecked: 80,
    roundsDone: 40,
    processes: [
      sampleProcess({ role: 'main', label: 'Main', pid: 11 }, 1),
      sampleProcess({ role: 'server', label: 'Server', pid: 12 }, 200),
      sampleProcess({ role: 'client', label: 'Client 0', pid: 13 }, 300),
      sampleProcess({ role: 'client', label: 'Client 1', pid: 14 }, 400),
    ],
    totals: { rssBytes: 4501e6, ussBytes: 1102.03e6, pssBytes: 1203.04e6, sharedBytes: 4301.05e6 },
    footprint: {
      rangeBytes: null,
      peakBytes: 1224.5e6,
      atMs: 12_345,
      exactness: 'estimated',
      sumRssBytesThen: 3673.5e6,
    },
    store: {
      capacityBytes: 10_000_000_000,
      liveBytesPeak: 1_000_000_000,
      arenaBytesPeak: 1_060_000_000,
      residentBytesPeak: 1_120_000_000,
      puts: 80,
      gets: 80,
    },
    looks: [],
    observer: { cpuMs: 118.25, percentOfCore: 0.55, samples: 215, passes: 3, samplesDropped: 0 },
    files: {
      series: '/somewhere/tmp/series.jsonl',
      storeLog: '/somewhere/tmp/store.log',
      captureDir: null,
    },
    ...more,
  };
}
