/** What processes of a run had together, on one axis of time. */
import type { IndexData } from '../report/page_model.ts';

type Process = IndexData['processes'][number];

/** When the run began, since 1970: the earliest of all that says so. */
export function beginOf({ processes, group }: IndexData): number {
  const known = processes.flatMap(({ startedAtMs }) => startedAtMs ?? []);
  const begin = [...known, ...(group?.timeMs.slice(0, 1) ?? [])];
  return begin.length === 0 ? 0 : Math.min(...begin);
}

/** A process's looks on the run's axis; one that does not say when it began is at its start. */
export function timesOf(process: Process, beginMs: number): number[] {
  const offset = (process.startedAtMs ?? beginMs) - beginMs;
  return process.series.timeMs.map((ms) => offset + (ms ?? 0));
}

export function endOf(data: IndexData): number {
  const begin = beginOf(data);
  const ends = data.processes.map((process) => timesOf(process, begin).at(-1) ?? 0);
  const last = data.group?.timeMs.at(-1) ?? begin;
  return Math.max(1, last - begin, ...ends);
}

export interface Sums {
  readonly timeMs: number[];
  /** Shared pages once for each process. */
  readonly rss: number[];
  /**
   * All anonymous pages, and of file and of shared pages those of the process that has most: what
   * the others have is taken to be the same. Too low where it is not, too high where forks share
   * anonymous pages.
   */
  readonly estimate: number[];
}

type Name = 'rssAnon' | 'rssFile' | 'rssShmem';
const names: readonly Name[] = ['rssAnon', 'rssFile', 'rssShmem'];

/** Between its first and its last look a process has what it had at the one before. */
export function sumsOf(processes: readonly Process[], beginMs: number): Sums {
  const looks = processes.flatMap((process, number) => {
    const times = timesOf(process, beginMs);
    return times.map((at, i) => ({ at, number, i, isLast: i === times.length - 1 }));
  });
  looks.sort((a, b) => a.at - b.at);
  const now = processes.map(() => ({ rssAnon: 0, rssFile: 0, rssShmem: 0 }));
  const sums: Sums = { timeMs: [], rss: [], estimate: [] };
  for (const { at, number, i, isLast } of looks) {
    const one = now[number]!;
    for (const name of names) one[name] = processes[number]!.series[name][i] ?? one[name];
    const sum = (name: Name): number => now.reduce((all, its) => all + its[name], 0);
    const most = (name: Name): number => Math.max(...now.map((its) => its[name]));
    sums.timeMs.push(at);
    sums.rss.push(sum('rssAnon') + sum('rssFile') + sum('rssShmem'));
    sums.estimate.push(sum('rssAnon') + most('rssFile') + most('rssShmem'));
    if (isLast) now[number] = { rssAnon: 0, rssFile: 0, rssShmem: 0 };
  }
  return sums;
}

/** Columns that were looked at at different times, on one axis of all of them. */
export function onOneAxis(
  parts: readonly { timeMs: readonly number[]; columns: readonly (readonly (number | null)[])[] }[],
): { timeMs: number[]; columns: (number | null)[][] } {
  const all = new Set(parts.flatMap(({ timeMs }) => timeMs));
  const timeMs = [...all].sort((a, b) => a - b);
  const placeOf = new Map(timeMs.map((ms, i) => [ms, i]));
  const columns = parts.flatMap((part) =>
    part.columns.map((column) =>
      spread(
        column.map((value, i) => [placeOf.get(part.timeMs[i]!)!, value]),
        timeMs.length,
      ),
    ),
  );
  return { timeMs, columns };
}

/** Values at their places, and between two of them the one before. */
function spread(
  values: readonly (readonly [number, number | null])[],
  length: number,
): (number | null)[] {
  const column = new Array<number | null>(length).fill(null);
  values.forEach(([place, value], i) => {
    column.fill(value, place, values[i + 1]?.[0] ?? place + 1);
  });
  return column;
}

/** The runs of a folder, the first one first; those that do not say theirs are one. */
export function runsOf({ processes }: IndexData): (string | null)[] {
  return [...new Set(processes.map(({ run }) => run))];
}

/** What is of one run; what was measured of all processes is of none where there are several. */
export function partOf(data: IndexData, run: string | null): IndexData {
  if (runsOf(data).length < 2) return data;
  return { ...data, processes: data.processes.filter((one) => one.run === run), group: null };
}
