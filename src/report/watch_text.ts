/** `memdrift watch` at its end: peaks, totals, what accountants will say, and what it cost. */
import Table from 'cli-table3';
import { maskedArguments } from '../secrets.ts';
import type { WatchedCgroup } from '../watch/cgroup_eye.ts';
import type {
  BlindSpot,
  Verdict,
  ViewName,
  ViewPeak,
  WatchedProcess,
  WatchReport,
} from '../watch/watch_model.ts';
import { noBorders } from './borders.ts';
import { printable } from './printable.ts';
import { counted, megabytes, megabytesWithUnit, seconds, unknown } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

/** Processes with a row of their own; the rest have one together. */
const mostRows = 20;

/** What each view is; the order is that of the table. */
const viewTexts: Readonly<Record<ViewName, string>> = {
  sumRss: 'sum of RSS',
  sumPss: 'sum of PSS',
  footprint: 'footprint: each page once',
  slurmDefault: 'SLURM MaxRSS (default)',
  slurmNoShared: 'SLURM MaxRSS, NoShared',
  slurmUsePss: 'SLURM MaxRSS, UsePss',
  slurmCgroup: 'SLURM MaxRSS, jobacct_gather/cgroup',
  cgroup: 'cgroup: charged',
};

/** Views that the table omits without a cgroup. */
const cgroupViews: ReadonlySet<ViewName> = new Set(['slurmCgroup', 'cgroup']);

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function watchText(report: WatchReport): string {
  const parts = [headText(report), processTable(report), viewTable(report)];
  const notes = [...report.blindSpots.slice(0, 10).map(spotText), ...notesOf(report)];
  if (notes.length > 0) parts.push(notes.join('\n'));
  parts.push(costText(report));
  return `${parts.join('\n\n')}\n`.replace(/[ \t]+$/gm, '');
}

function shownCommand(command: readonly string[] | null): string | undefined {
  return command === null ? undefined : printable(maskedArguments(command).join(' '));
}

function headText({ durationMs, options, exit, processes }: WatchReport): string {
  const what = shownCommand(options.command) ?? `pid ${options.roots.join(', ')}`;
  const end = exit === null ? '' : `, ${exit.signal ?? `exit code ${exit.code}`}`;
  const inGroup = processes.filter((one) => one.inGroup).length;
  return `memdrift: ${what}: ${seconds(durationMs)}${end}, ${counted(inGroup, 'process')}`;
}

const columns = ['rssBytes', 'ussBytes', 'pssBytes', 'sharedBytes', 'rssAnonBytes'] as const;

function processTable({ processes, totals, forgottenProcesses }: WatchReport): string {
  const table = new Table({
    ...borderless,
    head: ['PID', 'peak RSS', 'USS', 'PSS', 'SHR', 'anon', 'from', 'to', 'name'],
    colAligns: [...Array(8).fill('right'), 'left'] as ('left' | 'right')[],
  });
  const inGroup = processes.filter((one) => one.inGroup);
  const shown = inGroup.slice(0, mostRows);
  for (const one of shown) table.push(rowOf(one));
  const rest = inGroup.slice(mostRows);
  if (rest.length > 0) {
    const sums = columns.map((field) => sumOf(rest, field));
    table.push(['', ...sums.map(megabytes), '', '', `${rest.length} more`]);
  }
  const count = `sums of ${counted(inGroup.length, 'peak')}, MB`;
  table.push(['sum', ...columns.map((field) => megabytes(totals[field])), '', '', count]);
  for (const one of processes) if (!one.inGroup) table.push(rowOf(one));
  const left = forgottenProcesses > 0 ? `\n${forgottenProcesses} smaller ones are left out` : '';
  return table.toString() + left;
}

function rowOf({ pid, peak, name, beganAtMs, endedAtMs, isWatch, inGroup }: WatchedProcess) {
  const note = isWatch ? ` (this watch${inGroup ? '' : ', not counted'})` : '';
  return [
    pid,
    ...columns.map((field) => megabytes(peak[field])),
    seconds(beganAtMs),
    endedAtMs === null ? 'end' : seconds(endedAtMs),
    printable(name) + note,
  ];
}

function sumOf(processes: readonly WatchedProcess[], field: (typeof columns)[number]) {
  const known = processes.flatMap(({ peak }) => peak[field] ?? []);
  return known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
}

function viewTable({ views, limit, verdicts, options }: WatchReport): string {
  const table = new Table({
    ...borderless,
    head: ['who says', 'peak, MB', 'at', 'says between', '', limit === null ? '' : 'killed?'],
    colAligns: ['left', 'right', 'right', 'right', 'left', 'left'],
  });
  for (const [name, text] of Object.entries(viewTexts) as [ViewName, string][]) {
    const view = views[name];
    const { peakBytes, atMs, exactness } = view;
    if (peakBytes === null) {
      if (!cgroupViews.has(name)) table.push([text, ...unknownRow(limit)]);
      continue;
    }
    const verdict = verdicts.find((one) => one.view === name);
    table.push([
      text,
      megabytes(peakBytes),
      seconds(atMs),
      rangeText(view),
      exactness,
      verdict === undefined ? '' : verdictText(verdict),
    ]);
  }
  const head = limit === null ? '' : `limit ${megabytesWithUnit(limit)}; `;
  const frequency = `SLURM looks every ${options.slurmFrequencyMs / 1000} s, at a moment unknown`;
  return `${head}${frequency}\n\n${table.toString()}`;
}

/** No sample had a process of the group: a 0, or a "no", would be a statement about it. */
function unknownRow(limit: number | null): string[] {
  return [unknown, '', unknown, '', limit === null ? '' : unknown];
}

function rangeText({ rangeBytes }: ViewPeak): string {
  if (rangeBytes === null) return unknown;
  const [low, high] = rangeBytes;
  const same = megabytes(low) === megabytes(high);
  return same ? megabytes(low) : `${megabytes(low)} to ${megabytes(high)}`;
}

function verdictText({ kills, atMs, byBytes }: Verdict): string {
  const by = byBytes === null ? '' : `${megabytesWithUnit(Math.abs(byBytes))}`;
  if (kills === 'no') return `no, ${by} below`;
  const over = byBytes !== null && byBytes > 0 ? `${by} over` : `${by} below`;
  return `${kills === 'yes' ? 'YES' : 'too close'}, ${over}${
    atMs === null ? '' : ` (${seconds(atMs)})`
  }`;
}

function spotText({ kind, pid, name, bytes, views }: BlindSpot): string {
  const who = `${pid} ${printable(name)}`;
  const size = megabytesWithUnit(bytes);
  if (kind === 'orphan')
    return `Not seen by SLURM: ${who}, ${size}: its parent has ended, so it is in no tree.`;
  if (kind === 'between-samples')
    return `Not seen in any sample: ${who} had ${size} more for a moment (VmHWM).`;
  const when = views.length > 0 ? '' : ' with ProctrackType linuxproc or pgid';
  return `Not seen by SLURM${when}: ${who}, ${size}: there is a space in its name, or above it.`;
}

function notesOf({ endedEarly, unfollowedProcesses, processes, cgroup }: WatchReport): string[] {
  const notes: string[] = [];
  if (cgroup !== null) notes.push(cgroupText(cgroup));
  const { atLeast, atMost } = endedEarly;
  if (atLeast > 0 || (atMost ?? 0) > 0) {
    const most =
      atMost === null ? 'an unknown number' : `${atMost}, if all pids given out were its`;
    notes.push(`Ended before a sample saw them: at least ${atLeast}, at most ${most}.`);
  }
  if (unfollowedProcesses > 0)
    notes.push(
      `${counted(unfollowedProcesses, 'process')} could not be opened and are not counted.`,
    );
  const unseen = processes.filter((one) => one.inGroup && one.passes === 0).length;
  if (unseen > 0)
    notes.push(`PSS and USS of ${counted(unseen, 'process')} were never read (budget, or denied).`);
  return notes;
}

function cgroupText({ folder, version, otherProcesses, atPeak }: WatchedCgroup): string {
  const parts = [
    ['anonymous', atPeak?.anonBytes],
    ['shared memory', atPeak?.shmemBytes],
    ['page cache', atPeak?.fileBytes],
    ['kernel', atPeak?.kernelBytes],
    ['reclaimable', atPeak?.reclaimableBytes],
  ] as const;
  const known = parts.flatMap(([what, bytes]) =>
    bytes == null ? [] : [`${what} ${megabytes(bytes)}`],
  );
  const others =
    otherProcesses === 0 ? '' : `, with ${counted(otherProcesses, 'process')} that are not watched`;
  const place = `cgroup v${version} ${printable(folder)}${others}`;
  const parted = `${place}: at the highest look ${known.join(', ')}.`;
  return `${parted} A limit kills for what is not reclaimable.`;
}

function costText({ observer, options }: WatchReport): string {
  const { cpuMs, samplingCpuMs, percentOfCore, rssBytes, samples, samplesMissed, passes } =
    observer;
  const missed = samplesMissed > 0 ? `, ${samplesMissed} missed` : '';
  return (
    `cost of this watch: ${seconds(samplingCpuMs)} CPU, ${percentOfCore.toFixed(2)} % of a core, ` +
    `${seconds(cpuMs)} with the start of Node, ${megabytesWithUnit(rssBytes)} RSS; ` +
    `${counted(samples, 'sample')}${missed} every ${options.intervalMs} ms, ` +
    `smaps read ${counted(passes, 'time')}`
  );
}
