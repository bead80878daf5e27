/** What all commands on captures share: which part of one is shown, and where the result goes. */
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { onlyKinds, sumOfRows } from '../analysis/report_rows.ts';
import { readCaptureReport } from '../capture/capture.ts';
import {
  type AllocationKind,
  allocationKinds,
  type CaptureReport,
  type CaptureStats,
  heapKinds,
  type ReportOptions,
} from '../capture/capture_model.ts';
import { MemdriftError } from '../errors.ts';
import { endingTexts, momentTexts } from '../report/page_model.ts';
import { boundsText, leftOutText, lostText } from '../report/units.ts';
import { exists } from './output.ts';
import { exitCodes, writeError } from './program.ts';

/** Options that choose what of a capture is shown. */
export interface ChoiceFlags {
  readonly leaks?: true;
  readonly tail?: number;
  readonly temporaryAllocations?: true;
  readonly temporaryAllocationThreshold?: number;
  readonly kind?: readonly AllocationKind[];
  readonly committed?: true;
}

/** Adds to `command` what chooses what of a capture is shown. */
export function withChoice(command: Command): Command {
  return command
    .option('--leaks', 'what is live at the end, instead of at the peak')
    .addOption(
      new Option(
        '--tail <percent>',
        'with --leaks: without what was allocated in the last part of the time, such as 10%',
      ).argParser(percentOf),
    )
    .option('--temporary-allocations', 'what was freed before its thread allocated twice again')
    .addOption(
      new Option(
        '--temporary-allocation-threshold <n>',
        'what was freed before its thread made more than N other allocations',
      ).argParser(numberFrom1),
    )
    .addOption(
      new Option('--kind <kind...>', `these kinds only: ${allocationKinds.join(', ')}`).argParser(
        kindsOf,
      ),
    )
    .addOption(committedOption());
}

/** The option that counts mappings by their size. */
export function committedOption(): Option {
  return new Option('--committed', 'count mappings by their usable bytes, not by resident ones');
}

/** `--kind` takes all words up to the next option: a file that comes right after it is no kind. */
function kindsOf(text: string, before: readonly AllocationKind[] = []): AllocationKind[] {
  const kind = allocationKinds.find((one) => one === text);
  if (kind !== undefined) return [...before, kind];
  const choices = `Allowed choices are ${allocationKinds.join(', ')}.`;
  throw new InvalidArgumentError(
    before.length === 0 ? choices : `${choices} A file goes before --kind.`,
  );
}

/** The value of an option that takes a whole number from 1. */
export function numberFrom1(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
  throw new InvalidArgumentError('It takes a whole number from 1.');
}

/** Returns the number of a percentage, with or without its sign. */
function percentOf(text: string): number {
  const value = Number(/^(\d{1,2})%?$/.exec(text)?.[1] ?? 0);
  if (value >= 1) return value;
  throw new InvalidArgumentError('It takes a percentage from 1% to 99%.');
}

type ReportMoment = NonNullable<ReportOptions['moment']>;

/** Returns the title of these reports: the moment, what was left out, and what is uncertain. */
export function titleText(
  flags: ChoiceFlags,
  ...reports: readonly Pick<CaptureReport, 'stats' | 'leftOutBytes'>[]
): string {
  const moment = momentOf(flags);
  const leftOut = leftOutText(
    reports.map(({ leftOutBytes }) => leftOutBytes),
    flags.tail,
  );
  const [report, ...others] = reports;
  const isWholePeak = moment === 'peak' && flags.kind === undefined && others.length === 0;
  return (
    momentTexts[moment] +
    weightText(flags) +
    leftOut +
    (isWholePeak && report ? boundsText(report.stats.peakRangeBytes) : '') +
    doubtText(...reports.map(({ stats }) => stats))
  );
}

/** Returns the part of a title that says how mappings count; empty for the usual way. */
export function weightText({ committed }: ChoiceFlags): string {
  return committed ? ', mappings by usable bytes' : '';
}

/** Returns the end of a title: what makes its figures uncertain; empty when all was recorded. */
export function doubtText(...captures: readonly CaptureStats[]): string {
  const isSampled = captures.some(({ sampleBytes }) => sampleBytes !== 0);
  const lost = captures.reduce((sum, { droppedRecords }) => sum + droppedRecords, 0);
  return (
    (isSampled ? ', estimated; counts are of samples' : '') +
    (lost > 0 ? `, or ${lostText(lost)}` : '')
  );
}

/** @throws MemdriftError ERR_INVALID for flags that exclude each other. */
export function momentOf(flags: ChoiceFlags): ReportMoment {
  const isTemporary =
    flags.temporaryAllocations === true || flags.temporaryAllocationThreshold !== undefined;
  if (isTemporary && flags.leaks) {
    throw new MemdriftError(
      'ERR_INVALID',
      '--leaks is what was never freed, and temporary what soon was: give one of them',
    );
  }
  if (flags.tail !== undefined && !flags.leaks) {
    throw new MemdriftError('ERR_INVALID', '--tail is a part of --leaks: give both');
  }
  return isTemporary ? 'temporary' : flags.leaks ? 'end' : 'peak';
}

/** Returns the part of a capture that the flags choose; reports its end and damage on stderr. */
export async function readChosen(
  file: string,
  flags: ChoiceFlags,
  more: Pick<ReportOptions, 'all' | 'intervals'> = {},
): Promise<CaptureReport> {
  const report = await readCaptureReport(file, {
    ...more,
    moment: momentOf(flags),
    temporaryThreshold: flags.temporaryAllocationThreshold ?? 1,
    tailPercent: flags.tail ?? 0,
    committed: flags.committed ?? false,
  });
  tellEnd(file, report.stats);
  return flags.kind === undefined ? report : onlyKinds(report, flags.kind);
}

/**
 * The same where rows are added up: the heap's kinds unless others are asked for, and a total that
 * is the sum of all rows.
 */
export async function readCounted(
  file: string,
  flags: ChoiceFlags,
  more: Pick<ReportOptions, 'all' | 'intervals'> = {},
): Promise<CaptureReport> {
  const report = await readChosen(file, { ...flags, kind: flags.kind ?? heapKinds }, more);
  return { ...report, totalBytes: sumOfRows(report) };
}

/** Writes a line on stderr for a capture that was not closed, or for a damaged one. */
export function tellEnd(file: string, { ending, damage }: CaptureStats): void {
  if (damage !== null) tellDamage(file, damage);
  else tellNotice(file, endingTexts[ending]);
}

/** Writes a line on stderr and sets the exit code when there is damage. */
export function tellDamage(file: string, damage: string | null): void {
  if (damage === null) return;
  writeError(`${file} can be read up to here only: ${damage}`);
  process.exitCode = exitCodes.damaged;
}

/** Writes a line on stderr that is not an error. */
export function tellNotice(file: string, notice: string | null): void {
  if (notice !== null) writeError(`${file}: ${notice}`);
}

export interface OutputFlags {
  readonly output?: string;
  readonly force?: true;
}

/** @throws MemdriftError ERR_EXISTS for a file that is there and shall not be replaced. */
export function checkFree(to: string, flags: OutputFlags): void {
  if (flags.force || !existsSync(to)) return;
  throw exists(to);
}

/** The capture's path with another ending. */
export function besideCapture(file: string, ending: string): string {
  return `${file.replace(/\.mdc$/, '')}.${ending}`;
}
