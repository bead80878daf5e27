/** Logs of `memdrift watch` as a page: one, or those of a job's nodes on one axis of time. */
import { maskedArguments } from '../secrets.ts';
import { arrayIn, type JsonObject, numberIn, objectIn, objectsIn, textIn } from './json_values.ts';
import { seconds } from './units.ts';
import type { LoggedProcess, WatchLog } from './watch_log.ts';
import type { WatchData, WatchNode, WatchProcess, WatchView } from './watch_page_model.ts';
import { seriesViews, viewLabels } from './watch_page_model.ts';
import { jobOf, type NodeTotals, thinned, totalsOf } from './watch_sums.ts';

/** Of a log: its file's name, without the end that all have. */
export interface NamedLog {
  readonly file: string;
  readonly log: WatchLog;
}

const mostProcesses = 200;
const mostProcessLooks = 300;

/** The page's data; logs in the order in which they began. */
export function watchPage(title: string, named: readonly NamedLog[]): WatchData {
  const starts = named.map(({ log }) => numberIn(log.header.startedAtMs));
  const known = starts.filter((start) => start !== null);
  const beganAtMs = known.length === 0 ? 0 : Math.min(...known);
  const placed = named.map((one, i) => ({ ...one, startMs: (starts[i] ?? beganAtMs) - beganAtMs }));
  placed.sort((a, b) => a.startMs - b.startMs);
  const totals = placed.map(({ log, startMs }) => totalsOf(log, startMs));
  const nodes = apart(placed.map((one, i) => nodeOf(one, totals[i] as NodeTotals)));
  return {
    title,
    beganAtMs,
    durationMs: Math.max(1, ...nodes.map(({ endMs }) => endMs)),
    nodes,
    job: nodes.length > 1 ? jobOf(totals) : null,
  };
}

/** Several logs of one host are told apart by their files. */
function apart(nodes: readonly WatchNode[]): readonly WatchNode[] {
  const names = nodes.map(({ name }) => name);
  const isAlone = new Set(names).size === names.length;
  const fileOf = ({ facts }: WatchNode): string =>
    facts.find(([name]) => name === 'log')?.[1] ?? '';
  return isAlone
    ? nodes
    : nodes.map((node) => ({ ...node, name: `${node.name}, ${fileOf(node)}` }));
}

interface PlacedLog extends NamedLog {
  readonly startMs: number;
}

function nodeOf(placed: PlacedLog, totals: NodeTotals): WatchNode {
  const { log, startMs } = placed;
  const processes = [...log.processes].sort((a, b) => peakOf(b) - peakOf(a));
  const peaks = summaryPeaks(log);
  return {
    name: nameOf(placed),
    startMs,
    endMs: startMs + Math.max(log.lastMs, numberIn(log.summary?.durationMs) ?? 0),
    facts: factsOf(placed),
    damage: damageOf(log),
    notice: noticeOf(log),
    limitBytes: limitOf(log),
    series: thinned(totals),
    views: viewsOf(placed, totals),
    blindSpots: blindSpotsOf(log),
    processes: processes
      .slice(0, mostProcesses)
      .map((process) => processOf(process, placed, peaks.get(keyOf(process)))),
    processesLeft: Math.max(0, processes.length - mostProcesses),
  };
}

function nameOf({ log, file }: PlacedLog): string {
  const slurm = objectIn(log.header.slurm);
  const host = textIn(slurm?.nodeName) ?? textIn(log.header.host) ?? file;
  const task = textIn(slurm?.procId);
  return task === null ? host : `${host}, task ${task}`;
}

/** Returns the damage of a log, or null. */
export function damageOf({ badLines }: WatchLog): string | null {
  return badLines > 0 ? `${badLines} lines of the log cannot be read` : null;
}

/** Returns the notice on a log that was not closed, or null. */
export function noticeOf({ summary }: WatchLog): string | null {
  if (summary !== null) return null;
  return 'not closed (the watch was killed, or still runs): its peaks are those of samples';
}

function limitOf({ header, summary }: WatchLog): number | null {
  return numberIn(summary?.limit) ?? numberIn(objectIn(header.options)?.limitBytes);
}

function factsOf({ log, file }: PlacedLog): WatchNode['facts'] {
  const { header, summary, endedEarly, totals } = log;
  const options = objectIn(header.options);
  const exit = objectIn(summary?.exit);
  const observer = objectIn(summary?.observer);
  const job = textIn(objectIn(header.slurm)?.jobId);
  const interval = numberIn(options?.intervalMs);
  const facts: (readonly [string, string | null])[] = [
    ['log', file],
    ['command', header.command === null ? null : commandOf(header.command)],
    ['SLURM job', job],
    ['began', dateOf(numberIn(header.startedAtMs))],
    ['ended with', exit === null ? null : String(exit.signal ?? exit.code)],
    ['samples', `${totals.timeMs.length}${interval === null ? '' : `, one every ${interval} ms`}`],
    ['reads of smaps', String(log.passes)],
    ['ended before a sample saw them', earlyText(endedEarly)],
    ['cgroup', cgroupOf(objectIn(summary?.cgroup))],
    ['cost of the watch', costOf(observer)],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
}

function commandOf(command: unknown): string | null {
  const words = maskedArguments(arrayIn(command).map(String));
  return words.length === 0 ? null : words.join(' ').slice(0, 1000);
}

function dateOf(ms: number | null): string | null {
  // Beyond it a Date is none.
  return ms === null || Math.abs(ms) > 8.64e15 ? null : new Date(ms).toISOString();
}

function earlyText(early: WatchLog['endedEarly']): string | null {
  if (early === null) return null;
  const [least, most] = early;
  return `at least ${least ?? 0}${most === null ? '' : `, at most ${most}`}`;
}

/** What it is charged may be others' too. */
function cgroupOf(cgroup: JsonObject | null): string | null {
  const folder = textIn(cgroup?.folder);
  if (folder === null) return null;
  const others = numberIn(cgroup?.otherProcesses) ?? 0;
  const whose = others > 0 ? `, charged for ${others} processes that are not watched too` : '';
  return `v${numberIn(cgroup?.version) ?? '?'} ${folder}${whose}`;
}

function costOf(observer: JsonObject | null): string | null {
  const [cpuMs, percent] = [numberIn(observer?.cpuMs), numberIn(observer?.percentOfCore)];
  if (cpuMs === null || percent === null) return null;
  return `${seconds(cpuMs)} of CPU time, ${percent.toFixed(2)} % of a core`;
}

/** The summary's views; of a log that is cut what its samples say. */
function viewsOf({ log, startMs }: PlacedLog, totals: NodeTotals): readonly WatchView[] {
  const views = objectIn(log.summary?.views);
  const verdicts = objectsIn(log.summary?.verdicts);
  if (views === null)
    return seriesViews.map((view) => ({
      view,
      ...totals.peaks[view],
      exactness: 'sampled',
      rangeBytes: null,
      kills: null,
      killsAtMs: null,
      overBytes: null,
    }));
  return Object.keys(viewLabels).flatMap((view) => {
    const one = objectIn(views[view]);
    if (one === null) return [];
    const verdict = verdicts.find((other) => other.view === view);
    const [low, high] = arrayIn(one.rangeBytes).map(numberIn);
    const at = (ms: number | null): number | null => (ms === null ? null : startMs + ms);
    return {
      view,
      peakBytes: numberIn(one.peakBytes),
      atMs: at(numberIn(one.atMs)),
      exactness: textIn(one.exactness) ?? 'sampled',
      rangeBytes: low != null && high != null ? ([low, high] as const) : null,
      kills: textIn(verdict?.kills),
      killsAtMs: at(numberIn(verdict?.atMs)),
      overBytes: numberIn(verdict?.byBytes),
    };
  });
}

const blindSpotTexts: Readonly<Record<string, string>> = {
  'name-with-space': 'has a space in its name, which hides it and its children',
  orphan: 'has lost its parent, so that no way leads to it',
  'between-samples': 'had more between two samples',
};

function blindSpotsOf({ summary }: WatchLog): readonly string[] {
  return objectsIn(summary?.blindSpots).flatMap((spot) => {
    const kind = textIn(spot.kind);
    if (kind === null) return [];
    const bytes = numberIn(spot.bytes);
    const size = bytes === null ? '' : `, ${(bytes / 1e6).toFixed(2)} MB`;
    const labels = arrayIn(spot.views).map((view) => viewLabels[String(view)] ?? String(view));
    const from = labels.length === 0 ? '' : ` (${labels.join(', ')})`;
    const who = `${textIn(spot.name) ?? '?'} ${numberIn(spot.pid) ?? '?'}`;
    return `${who} ${blindSpotTexts[kind] ?? kind}${size}${from}`;
  });
}

const keyOf = (one: { readonly pid: unknown; readonly startTimeTicks: unknown }): string =>
  `${one.pid} ${one.startTimeTicks}`;

/** The kernel's own peaks (VmHWM), which the summary has and samples may have missed. */
function summaryPeaks(log: WatchLog): ReadonlyMap<string, JsonObject> {
  const known = objectsIn(log.summary?.processes);
  return new Map(
    known.map(({ pid, startTimeTicks, peak }) => [
      keyOf({ pid, startTimeTicks }),
      objectIn(peak) ?? {},
    ]),
  );
}

function peakOf({ peakRssBytes }: LoggedProcess): number {
  return peakRssBytes ?? 0;
}

function processOf(
  process: LoggedProcess,
  { log, startMs }: PlacedLog,
  peak: JsonObject | undefined,
): WatchProcess {
  const { looks, pid, parentPid, name, isWatch, inGroup } = process;
  const step = Math.max(1, Math.ceil(looks.timeMs.length / mostProcessLooks));
  const last = looks.timeMs.length - 1;
  const kept = looks.timeMs.map((_, i) => i).filter((i) => i % step === 0 || i === last);
  const endMs = process.endedAtMs ?? log.lastMs;
  // A log has what changed: until its end a process has what it had.
  const goesOn = last >= 0 && endMs > (looks.timeMs[last] as number);
  const pick = (column: readonly (number | null)[]): (number | null)[] =>
    [...kept, ...(goesOn ? [last] : [])].map((i) => column[i] ?? null);
  const timeMs = [...kept.map((i) => looks.timeMs[i] as number), ...(goesOn ? [endMs] : [])];
  return {
    pid,
    parentPid,
    name,
    beganAtMs: startMs + process.beganAtMs,
    endedAtMs: process.endedAtMs === null ? null : startMs + process.endedAtMs,
    peakRssBytes: numberIn(peak?.rssBytes) ?? process.peakRssBytes,
    peakPssBytes: numberIn(peak?.pssBytes) ?? process.peakPssBytes,
    isWatch,
    inGroup,
    series: {
      timeMs: timeMs.map((ms) => startMs + ms),
      rssAnon: pick(looks.rssAnonBytes),
      rssFile: pick(looks.rssFileBytes),
      rssShmem: pick(looks.rssShmemBytes),
      pss: pick(looks.pssBytes),
    },
  };
}
