/**
 * What main writes down while a run is going: the series, one JSON line per sample, the store's
 * log, one line a second, the store's peaks, and beside the captures what the group had when.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Sample, Sampler } from '../proc/sampler.ts';
import type { Store } from '../shm/store.ts';
import type { ExperimentReport } from './report_model.ts';
import { storeLogLine } from './store_log.ts';

const storeLogIntervalMs = 1000;

export class Recorder {
  readonly #store: Store;
  readonly #series: LineFile;
  readonly #storeLog: LineFile;
  /** For the index of the captures, which know only of themselves; null: there are none. */
  readonly #group: LineFile | null;
  /** Since 1970, of the sampler's beginning: the earliest that a sample can be of. */
  #beganAtMs = Number.POSITIVE_INFINITY;
  readonly #timer: NodeJS.Timeout;
  #last: Sample | null = null;
  #peaks = { liveBytesPeak: 0, arenaBytesPeak: 0, residentBytesPeak: 0 };

  constructor(options: {
    tmpDir: string;
    captureDir: string | null;
    store: Store;
    sampler: Sampler;
  }) {
    const { captureDir } = options;
    this.#store = options.store;
    this.#series = new LineFile(join(options.tmpDir, 'series.jsonl'));
    this.#storeLog = new LineFile(join(options.tmpDir, 'store.log'));
    this.#group = captureDir === null ? null : new LineFile(join(captureDir, 'group.jsonl'));
    options.sampler.on('sample', (sample) => this.#record(sample));
    this.#timer = setInterval(() => this.#logStore(), storeLogIntervalMs);
  }

  /** The newest estimate of the group's footprint, for the progress line. */
  get footprintBytes(): number | null {
    return this.#last?.footprintBytes ?? null;
  }

  /** Ends the files; resolves when they are on their way to disk. */
  async stop(): Promise<
    Pick<ExperimentReport, 'store'> & { series: string | null; storeLog: string | null }
  > {
    clearInterval(this.#timer);
    this.#logStore();
    const { capacityBytes, puts, gets } = this.#store.stats();
    await Promise.all([this.#series.end(), this.#storeLog.end(), this.#group?.end()]);
    return {
      store: { capacityBytes, ...this.#peaks, puts, gets },
      series: this.#series.pathIfWritten,
      storeLog: this.#storeLog.pathIfWritten,
    };
  }

  #record(sample: Sample): void {
    this.#last = sample;
    this.#recordGroup(sample);
    const { liveBytes, arenaBytes, residentBytes } = this.#store.stats();
    this.#peaks = {
      liveBytesPeak: Math.max(this.#peaks.liveBytesPeak, liveBytes),
      arenaBytesPeak: Math.max(this.#peaks.arenaBytesPeak, arenaBytes),
      residentBytesPeak: Math.max(this.#peaks.residentBytesPeak, residentBytes),
    };
    this.#series.write(
      JSON.stringify({ ...sample, store: { liveBytes, arenaBytes, residentBytes } }),
    );
  }

  #recordGroup({ atMs, processes, sumRssBytes, footprintBytes }: Sample): void {
    // A sample waits until this thread has time for it; the one that waited least tells best.
    this.#beganAtMs = Math.min(this.#beganAtMs, Date.now() - atMs);
    const timeMs = Math.round(this.#beganAtMs + atMs);
    this.#group?.write(
      JSON.stringify({ timeMs, processes: processes.length, sumRssBytes, footprintBytes }),
    );
  }

  #logStore(): void {
    this.#storeLog.write(storeLogLine(new Date(), this.#store.stats()));
  }
}

/** A text file that a full disk ends, but not the run. */
class LineFile {
  readonly #path: string;
  readonly #stream: WriteStream;
  #failed = false;

  constructor(path: string) {
    this.#path = path;
    this.#stream = createWriteStream(path, { mode: 0o600 });
    this.#stream.on('error', (error) => {
      if (!this.#failed) process.stderr.write(`memdrift: ${path} is cut short: ${error.message}\n`);
      this.#failed = true;
    });
  }

  get pathIfWritten(): string | null {
    return this.#failed ? null : this.#path;
  }

  write(line: string): void {
    if (!this.#failed) this.#stream.write(`${line}\n`);
  }

  end(): Promise<void> {
    if (this.#failed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.end(() => resolve());
    });
  }
}
