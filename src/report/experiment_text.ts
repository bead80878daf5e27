/** The experiment's report as text, at most 100 columns wide. */
import pc from 'picocolors';
import type {
  ExperimentProgress,
  ExperimentReport,
  HeapSeries,
  Peak,
  ProcessReport,
} from '../experiment/report_model.ts';
import {
  counted,
  megabytes,
  megabytesWithUnit,
  seconds,
  signedMegabytes,
  sizeWithUnit,
  times,
  unknown,
} from './units.ts';

export interface TextOptions {
  readonly color: boolean;
}

type Colors = ReturnType<typeof pc.createColors>;

/** Clients beyond these have no block of their own, unless they died; the totals have them all. */
const maxClientBlocks = 20;
const leftColumns = 47;

/** The whole report, ending in a newline. */
export function experimentText(report: ExperimentReport, options: TextOptions): string {
  const colors = pc.createColors(options.color);
  const shown = report.processes.filter(isShown);
  const left = report.processes.length - shown.length;
  const blocks = shown.map((process) => processBlock(process, colors));
  if (left > 0) blocks.push(`… and ${counted(left, 'more client')}: in the totals, and in --json.`);
  return `${[
    headBlock(report, colors),
    ...blocks,
    totalsBlock(report, colors),
    truthBlock(report, colors),
    filesBlock(report),
  ]
    .filter((block) => block !== '')
    .join('\n\n')}\n`;
}

/** `rounds 57/200, 10 arrays in flight, footprint 1224.51 MB, 5.70 s`. */
export function progressText(progress: ExperimentProgress): string {
  const { roundsDone, roundsTotal, arraysInFlight, footprintBytes, elapsedMs } = progress;
  return (
    `rounds ${roundsDone}/${roundsTotal}, ${counted(arraysInFlight, 'array')} in flight, ` +
    `footprint ${megabytesWithUnit(footprintBytes)}, ${seconds(elapsedMs)}`
  );
}

function isShown({ role, died }: ProcessReport, index: number): boolean {
  // Main and the server stand first.
  return role !== 'client' || died !== null || index < 2 + maxClientBlocks;
}

function headBlock(report: ExperimentReport, colors: Colors): string {
  const { options, completed, error, roundsDone, arraysChecked, wallMs } = report;
  const lines: string[] = [];
  if (!completed) {
    const why = error === null ? 'not every array was checked' : `${error.message} (${error.code})`;
    lines.push(colors.bold(colors.red(`NOT COMPLETED: ${why}`)));
    lines.push('What follows is what was seen until then.');
  }
  const trim = options.trim ? ', trim' : '';
  lines.push(
    `${counted(options.clients, 'client')}, ${counted(options.rounds, 'round')} each, arrays of ` +
      `${sizeWithUnit(options.arraySizeBytes)}, placement ${options.placement}${trim}`,
    ...loweredStoreLines(options),
    `${roundsDone} of ${options.clients * options.rounds} rounds done, ` +
      `${counted(arraysChecked, 'array')} checked in full, in ${seconds(wallMs)}`,
  );
  return lines.join('\n');
}

function loweredStoreLines(options: ExperimentReport['options']): string[] {
  const { storeBytes, storeLoweredFromBytes } = options;
  if (storeLoweredFromBytes === null) return [];
  return [
    `store of ${megabytesWithUnit(storeBytes)}: /dev/shm or memory cannot hold the default, ` +
      `${megabytesWithUnit(storeLoweredFromBytes)}`,
  ];
}

/** The original's block of a process at the left, what its runtime says of itself at the right. */
function processBlock(process: ProcessReport, colors: Colors): string {
  const { label, pid, died, peakDetail, heapSeries } = process;
  const title = `Process: ${label} peak usage (pid ${pid})`;
  const heading =
    heapSeries === null ? '' : `${'Node says'.padEnd(14)}${numberCells(['first', 'last', 'peak'])}`;
  const left = [
    peakLine('RSS', peakDetail.rssBytes, 'sample'),
    peakLine('USS', peakDetail.ussBytes, 'look'),
    peakLine('PSS', peakDetail.pssBytes, 'look'),
    peakLine('SHR', peakDetail.sharedBytes, 'sample'),
    peakLine('anon', peakDetail.rssAnonBytes, 'sample'),
  ];
  const right = heapLines(process);
  const rows = left.map((text, i) => `${text.padEnd(leftColumns)}${right[i] ?? ''}`.trimEnd());
  const head = colors.bold(`${title.padEnd(leftColumns)}${heading}`.trimEnd());
  const lines = [head, ...rows, ...growthLines(process).map((line) => `    ${line}`)];
  if (died !== null) lines.splice(1, 0, colors.red(`    died: ${died}`));
  return lines.join('\n');
}

function peakLine(name: string, peak: Peak | null, noun: string): string {
  const value = megabytesWithUnit(peak?.bytes ?? null).padStart(12);
  return `    ${`${name}:`.padEnd(5)}${value}  ${peak === null ? '' : exactnessText(peak, noun)}`;
}

function exactnessText({ exactness, samples }: Peak, noun: string): string {
  if (exactness === 'kernel') return "the kernel's peak";
  if (exactness === 'exact') return `exact, ${counted(samples, noun)}`;
  return `${exactness}, ${counted(samples, noun)}`;
}

function heapLines({ heapSeries, driftFirstBytes, driftBytes }: ProcessReport): readonly string[] {
  if (heapSeries === null) return ["Node's own numbers: unknown,", 'it ended before it could say'];
  const line = (name: string, { firstBytes, lastBytes, peakBytes }: HeapSeries): string =>
    `${name.padEnd(14)}${numberCells([firstBytes, lastBytes, peakBytes].map(megabytes))} MB`;
  return [
    line('heapUsed', heapSeries.heapUsed),
    line('heapTotal', heapSeries.heapTotal),
    line('external', heapSeries.external),
    line('arrayBuffers', heapSeries.arrayBuffers),
    `${'drift'.padEnd(14)}${numberCells([driftFirstBytes, driftBytes].map(megabytes))} MB`,
  ];
}

function numberCells(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(10)).join('');
}

/**
 * Which part of RSS grew most, by its peak, because memory may be given back before the end; then
 * the change from first to last, whose parts sum to the whole: drift is RSS less the other two.
 */
function growthLines({ heapSeries, driftFirstBytes, driftBytes }: ProcessReport): string[] {
  if (heapSeries === null || driftFirstBytes === null || driftBytes === null) {
    return [`which of them grew: ${unknown}`];
  }
  const drift = { firstBytes: driftFirstBytes, lastBytes: driftBytes, peakBytes: driftBytes };
  const parts = [
    { name: 'store pages', series: heapSeries.storeMapped },
    { name: 'heapTotal', series: heapSeries.heapTotal },
    { name: 'drift', series: drift },
  ];
  const { rss } = heapSeries;
  const rise = ({ firstBytes, peakBytes }: HeapSeries): number => peakBytes - firstBytes;
  const change = ({ firstBytes, lastBytes }: HeapSeries): number => lastBytes - firstBytes;
  const [most] = parts.toSorted((a, b) => rise(b.series) - rise(a.series));
  const range = ({ firstBytes, peakBytes }: HeapSeries): string =>
    `${megabytes(firstBytes)} -> ${megabytes(peakBytes)} MB`;
  const changes = parts
    .toSorted((a, b) => Math.abs(change(b.series)) - Math.abs(change(a.series)))
    .map(({ name, series }) => `${name} ${signedMegabytes(change(series))}`);
  return [
    `RSS grew to its peak ${range(rss)}, most of it ${most?.name} ${range(most?.series ?? rss)}`,
    `and first to last ${signedMegabytes(change(rss))} MB: ${changes.join(', ')}`,
  ];
}

function totalsBlock({ totals, processes, completed }: ExperimentReport, colors: Colors): string {
  const when = completed ? 'when all rounds were done' : 'until the run ended';
  const line = (name: string, bytes: number | null): string =>
    `    ${`${name}:`.padEnd(5)}${megabytesWithUnit(bytes).padStart(12)}`;
  return [
    colors.bold(`Sum of the peaks of all ${processes.length} processes, ${when}`),
    line('RSS', totals.rssBytes),
    line('USS', totals.ussBytes),
    line('PSS', totals.pssBytes),
    line('SHR', totals.sharedBytes),
  ].join('\n');
}

function rangeText({ rangeBytes }: ExperimentReport['footprint']): string {
  if (rangeBytes === null) return '';
  const [low, high] = rangeBytes.map(megabytes);
  return low === high ? '' : `, between ${low} and ${high}`;
}

/** What no tool that looks at one process, or at the store alone, can say. */
function truthBlock(report: ExperimentReport, colors: Colors): string {
  const { footprint, store, observer, totals } = report;
  const line = (name: string, bytes: number | null, remark: string): string =>
    `    ${name.padEnd(24)}${megabytesWithUnit(bytes).padStart(12)}  ${remark}`.trimEnd();
  const ofLive = (bytes: number): string => `${times(bytes, store.liveBytesPeak)} x live`;
  const countedThen = times(footprint.sumRssBytesThen, footprint.peakBytes);
  const { cpuMs, percentOfCore, samples, passes, samplesDropped } = observer;
  const dropped = samplesDropped === 0 ? '' : `, ${samplesDropped} not delivered`;
  return [
    colors.bold('What is really used, each page once'),
    line(
      'footprint at its peak',
      footprint.peakBytes,
      `at ${seconds(footprint.atMs)}, ${footprint.exactness}${rangeText(footprint)}`,
    ),
    line(
      'sum of RSS then',
      footprint.sumRssBytesThen,
      `on average each page was counted ${countedThen} times`,
    ),
    line(
      'sum of RSS peaks',
      totals.rssBytes,
      `${times(totals.rssBytes, footprint.peakBytes)} x the footprint`,
    ),
    line(
      'store: live objects',
      store.liveBytesPeak,
      `peak, of ${megabytes(store.capacityBytes)} MB; all that a store shows`,
    ),
    line('store: arena in use', store.arenaBytesPeak, `peak, ${ofLive(store.arenaBytesPeak)}`),
    line(
      'store: resident pages',
      store.residentBytesPeak,
      `peak, ${ofLive(store.residentBytesPeak)}; what the kernel has given`,
    ),
    `    ${'cost of looking'.padEnd(24)}${`${cpuMs.toFixed(1)} ms`.padStart(12)}  of CPU, ` +
      `${percentOfCore.toFixed(2)} % of a core: ${counted(samples, 'sample')}, ` +
      `${passes} full ${passes === 1 ? 'look' : 'looks'}${dropped}`,
    ...lookLines(report.looks),
  ].join('\n');
}

function lookLines(looks: ExperimentReport['looks']): string[] {
  return looks.map(
    ({ moment, atMs, footprintBytes, sumRssBytes }) =>
      `    ${`look, ${moment}`.padEnd(24)}${megabytesWithUnit(footprintBytes).padStart(12)}  ` +
      `footprint at ${seconds(atMs)}, sum of RSS ${megabytesWithUnit(sumRssBytes)}`,
  );
}

function filesBlock({ files, options }: ExperimentReport): string {
  const lines = [
    ['series', files.series],
    ['store log', files.storeLog],
    ['captures', files.captureDir],
    ['JSON', options.jsonFile],
  ].filter(([, path]) => path !== null);
  return lines.map(([name, path]) => `${`${name}:`.padEnd(11)}${path}`).join('\n');
}
