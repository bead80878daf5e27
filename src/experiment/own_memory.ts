/**
 * What a process of the run says of its own memory: Node's numbers and the kernel's, side by side.
 */
import { readCounters } from '../proc/counters.ts';
import type { HeapSeries } from './report_model.ts';

const seriesNames = [
  'heapUsed',
  'heapTotal',
  'external',
  'arrayBuffers',
  'rss',
  'storeMapped',
] as const;
type SeriesName = (typeof seriesNames)[number];

export interface OwnMemory {
  readonly pid: number;
  readonly series: Readonly<Record<SeriesName, HeapSeries>>;
  readonly driftFirstBytes: number;
  readonly driftLastBytes: number;
}

/**
 * Follows the calling process. One look costs about 60 us (process.memoryUsage and one read of
 * /proc/self/status) and runs on the event loop's timer, which it does not keep alive.
 *
 * `storeMapped` is RssShmem: a run's processes map no shared memory but the store. `external` is
 * V8's count less the views of the store, which V8 counts though they are no memory of its own.
 */
export class OwnMemoryFollower {
  readonly #externalViewBytes: () => number;
  readonly #timer: NodeJS.Timeout;
  #series: Record<SeriesName, HeapSeries> | null = null;
  #driftFirstBytes = 0;
  #driftLastBytes = 0;

  constructor(options: { intervalMs: number; externalViewBytes: () => number }) {
    this.#externalViewBytes = options.externalViewBytes;
    this.look();
    this.#timer = setInterval(() => this.look(), options.intervalMs).unref();
  }

  /** Takes one sample now. */
  look(): void {
    const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    const { rssBytes, rssShmemBytes } = readCounters('self');
    const rss = rssBytes ?? 0;
    const storeMapped = rssShmemBytes ?? 0;
    const now: Record<SeriesName, number> = {
      heapUsed,
      heapTotal,
      external: Math.max(0, external - this.#externalViewBytes()),
      arrayBuffers,
      rss,
      storeMapped,
    };
    this.#driftLastBytes = rss - heapTotal - storeMapped;
    if (this.#series === null) this.#driftFirstBytes = this.#driftLastBytes;
    this.#series = nextSeries(this.#series, now);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The series so far, after one more look. */
  report(): OwnMemory {
    this.look();
    return {
      pid: process.pid,
      series: { ...(this.#series as Record<SeriesName, HeapSeries>) },
      driftFirstBytes: this.#driftFirstBytes,
      driftLastBytes: this.#driftLastBytes,
    };
  }
}

function nextSeries(
  before: Record<SeriesName, HeapSeries> | null,
  now: Record<SeriesName, number>,
): Record<SeriesName, HeapSeries> {
  const entries = seriesNames.map((name): [SeriesName, HeapSeries] => [
    name,
    {
      firstBytes: before?.[name].firstBytes ?? now[name],
      lastBytes: now[name],
      peakBytes: Math.max(before?.[name].peakBytes ?? 0, now[name]),
    },
  ]);
  return Object.fromEntries(entries) as Record<SeriesName, HeapSeries>;
}
