/** `memdrift diff`: two captures, or two moments of one. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { type Difference, diff } from '../analysis/difference.ts';
import { withoutInternals } from '../analysis/internals.ts';
import { momentNumber, reportAt } from '../analysis/moments.ts';
import { type CaptureReport, type Moment, timelineKinds } from '../capture/capture_model.ts';
import { MemdriftError } from '../errors.ts';
import { differenceText } from '../report/difference_text.ts';
import { printable } from '../report/printable.ts';
import { seconds } from '../report/units.ts';
import {
  type ChoiceFlags,
  doubtText,
  momentOf,
  numberFrom1,
  readCounted,
  titleText,
  withChoice,
} from './choice.ts';
import { batches } from './output.ts';
import { writeJson, writePieces } from './program.ts';

interface DiffFlags extends ChoiceFlags {
  readonly from?: string;
  readonly to?: string;
  readonly rows: number;
  readonly hideInternals?: true;
  readonly json?: true;
}

/** Adds `memdrift diff`. */
export function registerDiff(program: Command): void {
  withChoice(program.command('diff'))
    .description('what grew and what shrank between two captures, or two moments of one')
    .argument('<file>', 'a capture')
    .argument('[other]', 'a later one; without it give --from or --to')
    .option('--from <moment>', 'a mark, a time such as 1.5s, start or peak (default: start)')
    .option('--to <moment>', 'the same, or end (default: end)')
    .option('-n, --rows <count>', 'this many that grew, and as many that shrank', numberFrom1, 10)
    .option('--hide-internals', "by the program's functions only")
    .option('--json', 'one JSON object on stdout, with all rows; sizes in bytes')
    .action(compare);
}

interface Compared {
  readonly difference: Difference;
  readonly what: string;
  readonly from: string;
  readonly to: string;
}

async function compare(file: string, other: string | undefined, flags: DiffFlags): Promise<void> {
  const isOfMoments = flags.from !== undefined || flags.to !== undefined;
  if ((other === undefined) !== isOfMoments) {
    throw new MemdriftError(
      'ERR_INVALID',
      'diff compares two captures, or with --from or --to two moments of one: give either',
    );
  }
  const compared =
    other === undefined
      ? await compareMoments(file, flags)
      : await compareCaptures(file, other, flags);
  const { difference, ...head } = compared;
  if (flags.json) {
    const { json: _, rows: __, ...options } = flags;
    const files = other === undefined ? { file } : { file, other };
    await writeJson({ options: { ...files, ...options }, ...difference });
    return;
  }
  await writePieces(batches(differenceText(difference, { ...head, most: flags.rows })));
}

async function compareCaptures(file: string, other: string, flags: DiffFlags): Promise<Compared> {
  const from = shown(await readCounted(file, flags), flags);
  const to = shown(await readCounted(other, flags), flags);
  const what = titleText(flags, from, to);
  // Captures of two runs often have the same name.
  const isSame = basename(file) === basename(other);
  const [fromName, toName] = isSame ? [file, other] : [basename(file), basename(other)];
  return { difference: diff(from, to), what, from: `in ${fromName}`, to: `in ${toName}` };
}

/** Enough for times; marks have a moment of their own in any case. */
const timelineIntervals = 200;

async function compareMoments(file: string, flags: DiffFlags): Promise<Compared> {
  checkMoments(flags);
  const report = shown(await readCounted(file, flags, { intervals: timelineIntervals }), flags);
  const from = momentNamed(report.moments, flags.from ?? 'start', 'first');
  const to = momentNamed(report.moments, flags.to ?? 'end', 'last');
  const difference = diff(reportAt(report, from), reportAt(report, to));
  return {
    difference,
    what: `live${doubtText(report.stats)}`,
    from: titleOf(report, from),
    to: titleOf(report, to),
  };
}

/** A timeline is of all moments, and of what is followed through them. */
function checkMoments(flags: DiffFlags): void {
  if (momentOf(flags) !== 'peak') {
    throw new MemdriftError(
      'ERR_INVALID',
      '--from and --to name the moments: --leaks and --temporary-allocations are others',
    );
  }
  const untold = flags.kind?.find((kind) => !timelineKinds.includes(kind));
  if (untold === undefined) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `what was of kind ${untold} at a moment is not known: give some of ${timelineKinds.join(', ')}`,
  );
}

function momentNamed(moments: readonly Moment[], text: string, which: 'first' | 'last'): number {
  const number = momentNumber(moments, text, which);
  if (number !== null) return number;
  throw new MemdriftError(
    'ERR_INVALID',
    `${text} is no moment of the capture: ${marksOf(moments)}; times are as in 1.5s or 200ms`,
  );
}

/** More would hide what the sentence says. */
const mostLabels = 10;

function marksOf(moments: readonly Moment[]): string {
  const all = new Set(moments.map(({ label }) => label).filter((label) => label !== null));
  if (all.size === 0) return 'it has no marks';
  const labels = [...all].slice(0, mostLabels).map(printable);
  const left = all.size - labels.length;
  return `its marks are ${labels.join(', ')}${left > 0 ? `, and ${left} more` : ''}`;
}

function titleOf({ moments }: CaptureReport, number: number): string {
  const moment = moments[number];
  if (moment === undefined) return 'at the start';
  const label = moment.label === null ? null : printable(moment.label);
  const name = label ?? (moment.isPeak ? 'the peak' : null);
  const time = seconds(moment.timeMs);
  return name === null ? `at ${time}` : `at ${name} (${time})`;
}

function shown(report: CaptureReport, { hideInternals }: DiffFlags): CaptureReport {
  return hideInternals ? withoutInternals(report) : report;
}
