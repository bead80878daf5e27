/** A log of `memdrift watch` (docs/watch-log.md), read line by line, whole or cut. */
import {
  arrayIn,
  type JsonObject,
  numberIn,
  objectIn,
  parsedObject,
  textIn,
} from './json_values.ts';

/** What was looked at of a process, thinned out: the highest of each stretch of time stays. */
export interface ProcessLooks {
  readonly timeMs: number[];
  readonly rssBytes: (number | null)[];
  readonly rssAnonBytes: (number | null)[];
  readonly rssFileBytes: (number | null)[];
  readonly rssShmemBytes: (number | null)[];
  readonly pssBytes: (number | null)[];
}

export interface LoggedProcess {
  readonly pid: number;
  readonly startTimeTicks: number | null;
  readonly beganAtMs: number;
  readonly isWatch: boolean;
  readonly inGroup: boolean;
  parentPid: number;
  name: string;
  endedAtMs: number | null;
  peakRssBytes: number | null;
  peakPssBytes: number | null;
  readonly looks: ProcessLooks;
}

/** Columns of one length: `timeMs`, and by the log's names what the whole group had. */
export interface LoggedTotals {
  readonly timeMs: number[];
  readonly columns: ReadonlyMap<string, (number | null)[]>;
}

export interface WatchLog {
  readonly header: JsonObject;
  readonly processes: readonly LoggedProcess[];
  readonly totals: LoggedTotals;
  /** The last that was said of processes that ended before a sample saw them. */
  readonly endedEarly: readonly [number | null, number | null] | null;
  readonly passes: number;
  /** The report of `memdrift watch --json`; null: the watch was killed, or still runs. */
  readonly summary: JsonObject | null;
  /** Lines that are not JSON, except a last one that a killed watch left unfinished. */
  readonly badLines: number;
  readonly lastMs: number;
}

const lookColumns = [
  'rssBytes',
  'rssAnonBytes',
  'rssFileBytes',
  'rssShmemBytes',
  'pssBytes',
] as const;

/** So many looks of a process are more than a graph of it has pixels. */
const mostLooks = 600;

export type HeaderProblem = 'no watch log' | 'a newer version';

/** What is wrong with the first line of a file; null: it is a watch log's. */
export function headerProblem(line: string): HeaderProblem | null {
  const header = parsedObject(line);
  if (header?.type !== 'header' || header.kind !== 'memdrift-watch') return 'no watch log';
  return header.schemaVersion === 1 ? null : 'a newer version';
}

/** Takes lines, the header's first. */
export class WatchLogReader {
  readonly #header: JsonObject;
  readonly #rowFields: readonly string[];
  readonly #columns: ReadonlyMap<string, (number | null)[]>;
  readonly #timeMs: number[] = [];
  readonly #processes = new Map<number, LoggedProcess>();
  #endedEarly: readonly [number | null, number | null] | null = null;
  #passes = 0;
  #summary: JsonObject | null = null;
  #badLines = 0;
  #isLastBad = false;
  #lastMs = 0;

  constructor(headerLine: string) {
    this.#header = parsedObject(headerLine) ?? {};
    this.#rowFields = arrayIn(this.#header.rowFields).map(String);
    const totalFields = arrayIn(this.#header.totalFields).map(String);
    this.#columns = new Map(totalFields.map((name) => [name, []]));
  }

  add(line: string): void {
    if (line === '') return;
    const read = parsedObject(line);
    this.#isLastBad = read === null;
    if (read === null) {
      this.#badLines++;
      return;
    }
    const atMs = numberIn(read.atMs);
    if (read.type === 'summary') this.#summary = read;
    else if (read.type === 'pass') this.#passes++;
    else if (read.type === 'change') this.#change(read);
    else if (atMs !== null) this.#addAt(read, atMs);
  }

  finish(): WatchLog {
    return {
      header: this.#header,
      processes: [...this.#processes.values()],
      totals: { timeMs: this.#timeMs, columns: this.#columns },
      endedEarly: this.#endedEarly,
      passes: this.#passes,
      summary: this.#summary,
      badLines: this.#badLines - (this.#isLastBad && this.#summary === null ? 1 : 0),
      lastMs: this.#lastMs,
    };
  }

  #addAt(read: JsonObject, atMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, atMs);
    if (read.type === 'begin') this.#begin(read, atMs);
    else if (read.type === 'sample') this.#sample(read, atMs);
    else if (read.type === 'end') {
      const process = this.#processes.get(numberIn(read.id) ?? -1);
      if (process !== undefined) process.endedAtMs = atMs;
    }
  }

  #begin(read: JsonObject, atMs: number): void {
    const [id, pid] = [numberIn(read.id), numberIn(read.pid)];
    if (id === null || pid === null) return;
    this.#processes.set(id, {
      pid,
      parentPid: numberIn(read.parentPid) ?? 0,
      name: textIn(read.name) ?? '?',
      startTimeTicks: numberIn(read.startTimeTicks),
      beganAtMs: atMs,
      endedAtMs: null,
      isWatch: read.isWatch === true,
      inGroup: read.inGroup !== false,
      peakRssBytes: null,
      peakPssBytes: null,
      looks: {
        timeMs: [],
        rssBytes: [],
        rssAnonBytes: [],
        rssFileBytes: [],
        rssShmemBytes: [],
        pssBytes: [],
      },
    });
  }

  #change(read: JsonObject): void {
    const process = this.#processes.get(numberIn(read.id) ?? -1);
    if (process === undefined) return;
    process.name = textIn(read.name) ?? process.name;
    process.parentPid = numberIn(read.parentPid) ?? process.parentPid;
  }

  #sample(read: JsonObject, atMs: number): void {
    for (const row of arrayIn(read.rows)) this.#row(arrayIn(row), atMs);
    const totals = arrayIn(read.totals);
    this.#timeMs.push(atMs);
    let i = 0;
    for (const column of this.#columns.values()) column.push(numberIn(totals[i++]));
    const early = arrayIn(read.endedEarly);
    if (early.length > 0) this.#endedEarly = [numberIn(early[0]), numberIn(early[1])];
  }

  #row(values: readonly unknown[], atMs: number): void {
    const field = (name: string): number | null => numberIn(values[this.#rowFields.indexOf(name)]);
    const process = this.#processes.get(field('id') ?? -1);
    if (process === undefined) return;
    const { looks } = process;
    looks.timeMs.push(atMs);
    for (const name of lookColumns) looks[name].push(field(name));
    process.peakRssBytes = higher(process.peakRssBytes, field('rssBytes'));
    process.peakPssBytes = higher(process.peakPssBytes, field('pssBytes'));
    if (looks.timeMs.length >= 2 * mostLooks) thinOut(looks);
  }
}

/** Of two looks in a row the one with more RSS; the first and the last stay. */
function thinOut(looks: ProcessLooks): void {
  const last = looks.timeMs.length - 1;
  const kept = [0];
  for (let i = 1; i < last; i += 2) {
    const isNextHigher = i + 1 < last && (looks.rssBytes[i + 1] ?? 0) > (looks.rssBytes[i] ?? 0);
    kept.push(isNextHigher ? i + 1 : i);
  }
  kept.push(last);
  for (const column of Object.values(looks) as (number | null)[][]) {
    const left = kept.map((i) => column[i] ?? null);
    column.splice(0, column.length, ...left);
  }
}

function higher(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}

/** Null where a part of it is not there. */
export function summaryOf(log: WatchLog, name: string): JsonObject | null {
  return objectIn(log.summary?.[name]);
}
