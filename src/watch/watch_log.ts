/** The log of a watch, as docs/watch-log.md has it: what has changed, a line at a time. */
import { closeSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { MemdriftError } from '../errors.ts';
import type { Sample } from '../proc/sampler.ts';
import type { ViewsNow } from './views.ts';
import type { ProcessRow, WatchReport } from './watch_model.ts';

/** What a row of a sample has behind its id. */
export const rowFields = [
  'rssBytes',
  'rssAnonBytes',
  'rssFileBytes',
  'rssShmemBytes',
  'swapBytes',
  'statRssBytes',
  'pssBytes',
] as const;

/** What a sample's totals are, by the names of the log. */
const totalViews = {
  rssBytes: 'sumRss',
  pssBytes: 'sumPss',
  footprintBytes: 'footprint',
  slurmDefault: 'slurmDefault',
  slurmNoShared: 'slurmNoShared',
  slurmUsePss: 'slurmUsePss',
  cgroupBytes: 'cgroup',
} as const;

/** Names of a sample's bounds; docs/bounds.md. */
const boundFields = [
  'pssLowBytes',
  'pssHighBytes',
  'footprintLowBytes',
  'footprintHighBytes',
  'readAtMs',
] as const;

interface Logged {
  readonly id: number;
  name: string;
  parentPid: number;
  /** The last row, as it was written. */
  values: string;
}

export interface WatchLogHeader {
  readonly startedAtMs: number;
  readonly [field: string]: unknown;
}

/**
 * Makes the file for `out`: a file that is not there yet, or a folder (`DIR/`, made if need be), in
 * which hosts and watches get files of their own.
 * @throws MemdriftError ERR_EXISTS; what the system refuses is the system's error.
 */
export function openLog(out: string): { readonly file: string; readonly fd: number } {
  const isFolder = out.endsWith('/') || isDirectory(out);
  if (isFolder) mkdirSync(out, { recursive: true, mode: 0o700 });
  const host = hostname().replace(/[^\w.-]/g, '_') || 'host';
  const file = isFolder ? join(out, `watch-${host}-${process.pid}.jsonl`) : out;
  try {
    return { file, fd: openSync(file, 'wx', 0o600) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const message = `${file} exists; name another file, or a folder as DIR/, with --out.`;
    throw new MemdriftError('ERR_EXISTS', message, { file });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Writes to an open file, whose end is `close`. A full disk ends the log, not the watch. */
export class WatchLog {
  readonly #fd: number;
  readonly #onFailure: (error: Error) => void;
  readonly #processes = new Map<string, Logged>();
  #ids = 0;
  #passedAtMs = 0;
  #endedEarly = '';
  #bounds = '';
  #failed = false;

  constructor(fd: number, onFailure: (error: Error) => void) {
    this.#fd = fd;
    this.#onFailure = onFailure;
  }

  header(header: WatchLogHeader): void {
    this.#write([
      {
        type: 'header',
        kind: 'memdrift-watch',
        schemaVersion: 1,
        host: hostname(),
        pid: process.pid,
        ...header,
        rowFields: ['id', ...rowFields],
        totalFields: Object.keys(totalViews),
        boundFields,
      },
    ]);
  }

  sample(sample: Sample, now: ViewsNow, inGroup: (pid: number) => boolean): void {
    const { atMs } = sample;
    const lines: object[] = [];
    const rows: unknown[] = [];
    const gone = new Set(this.#processes.keys());
    for (const row of sample.processes) {
      const key = `${row.pid}:${row.startTimeTicks}`;
      gone.delete(key);
      const logged = this.#logged(key, row, (line) => lines.push({ ...line, atMs }), inGroup);
      const values = rowFields.map((field) => rounded(row[field]));
      const text = values.join();
      if (text !== logged.values) rows.push([logged.id, ...values]);
      logged.values = text;
    }
    for (const key of gone) {
      lines.push({ type: 'end', id: this.#processes.get(key)?.id, atMs });
      this.#processes.delete(key);
    }
    const passedAtMs = Math.max(0, ...sample.processes.map((row) => row.passedAtMs ?? 0));
    if (passedAtMs > this.#passedAtMs) {
      const passed = sample.processes.filter((row) => row.passedAtMs !== null);
      lines.push({ type: 'pass', atMs: passedAtMs, processes: passed.length });
      this.#passedAtMs = passedAtMs;
    }
    lines.push({ type: 'sample', atMs, rows, totals: totalsOf(now), ...this.#changed(sample) });
    this.#write(lines);
  }

  /** The last line; the file is closed. */
  close(report: WatchReport): void {
    this.#write([{ type: 'summary', schemaVersion: 1, ...report }]);
    closeSync(this.#fd);
  }

  #logged(
    key: string,
    row: ProcessRow,
    ...[add, inGroup]: [(line: object) => void, (pid: number) => boolean]
  ): Logged {
    const { pid, parentPid, name, startTimeTicks } = row;
    const logged = this.#processes.get(key);
    if (logged === undefined) {
      const id = ++this.#ids;
      const who = { id, pid, parentPid, name, startTimeTicks };
      add({ type: 'begin', ...who, isWatch: pid === process.pid, inGroup: inGroup(pid) });
      const added = { id, name, parentPid, values: '' };
      this.#processes.set(key, added);
      return added;
    }
    if (logged.name !== name || logged.parentPid !== parentPid)
      add({ type: 'change', id: logged.id, name, parentPid });
    Object.assign(logged, { name, parentPid });
    return logged;
  }

  /** Fields that a sample has only when they changed. */
  #changed({
    group: { pss, footprint, readAtMs },
    endedEarly: { atLeast, atMost },
  }: Sample): object {
    const changed: Record<string, unknown> = {};
    const bounds = [...pss.rangeBytes, ...footprint.rangeBytes, readAtMs].map(rounded);
    if (bounds.join() !== this.#bounds) changed.bounds = bounds;
    this.#bounds = bounds.join();
    const text = `${atLeast},${atMost}`;
    if (text !== this.#endedEarly) changed.endedEarly = [atLeast, atMost];
    this.#endedEarly = text;
    return changed;
  }

  #write(lines: readonly object[]): void {
    if (this.#failed) return;
    try {
      writeAll(this.#fd, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error as Error);
    }
  }
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
}

function totalsOf(now: ViewsNow): (number | null)[] {
  return Object.values(totalViews).map((view) => rounded(now[view]));
}

/** Estimates are no whole numbers of bytes; nobody needs what is behind the point. */
function rounded(bytes: number | null): number | null {
  return bytes === null ? null : Math.round(bytes);
}
