/** `memdrift summary`: what each function holds, by itself and with what it called. */
import { type Command, Option } from 'commander';
import { type FunctionTotal, functionTotals } from '../analysis/functions.ts';
import { withoutInternals } from '../analysis/internals.ts';
import { ownBytesOf } from '../analysis/own_rows.ts';
import { summaryText } from '../report/summary_text.ts';
import { type ChoiceFlags, numberFrom1, readCounted, titleText, withChoice } from './choice.ts';
import { writeJson } from './program.ts';

/** By what functions are sorted, the largest first. */
const sortColumns = {
  own: (one: FunctionTotal) => one.ownBytes,
  total: (one: FunctionTotal) => one.totalBytes,
  count: (one: FunctionTotal) => one.totalCount,
  'own-count': (one: FunctionTotal) => one.ownCount,
} as const;

interface SummaryFlags extends ChoiceFlags {
  readonly sortColumn: keyof typeof sortColumns;
  readonly maxRows: number;
  readonly hideInternals?: true;
  readonly json?: true;
}

/** Adds `memdrift summary`. */
export function registerSummary(program: Command): void {
  withChoice(program.command('summary'))
    .description('what each function held, by itself and with what it called')
    .argument('<file>', 'a capture')
    .addOption(
      new Option('-s, --sort-column <column>', 'the largest of these first')
        .choices(Object.keys(sortColumns))
        .default('total'),
    )
    .option('-r, --max-rows <n>', 'this many functions', numberFrom1, 30)
    .option('--hide-internals', "the program's functions only, with what Node did for them")
    .option('--json', 'one JSON object on stdout, with all functions; sizes in bytes')
    .action(summary);
}

async function summary(file: string, flags: SummaryFlags): Promise<void> {
  const report = await readCounted(file, flags);
  const shown = flags.hideInternals ? withoutInternals(report) : report;
  const sizeOf = sortColumns[flags.sortColumn];
  const functions = functionTotals(shown).sort((a, b) => sizeOf(b) - sizeOf(a));
  const { totalBytes, leftOutBytes, stats } = report;
  if (flags.json) {
    const { json: _, maxRows: __, ...options } = flags;
    const sums = { totalBytes, leftOutBytes, memdriftBytes: ownBytesOf(report) };
    await writeJson({ options: { file, ...options }, ...sums, functions, stats });
    return;
  }
  const rows = functions.slice(0, flags.maxRows);
  const inFunctions = sumOfOwn(functions);
  const ownBytes = ownBytesOf(report);
  const what = titleText(flags, report);
  const head = { totalBytes, what, ownBytes, noFunctionBytes: totalBytes - inFunctions - ownBytes };
  const left = functions.length - rows.length;
  const leftBytes = inFunctions - sumOfOwn(rows);
  process.stdout.write(summaryText(rows, { ...head, left, leftBytes }));
}

function sumOfOwn(functions: readonly FunctionTotal[]): number {
  return functions.reduce((sum, one) => sum + one.ownBytes, 0);
}
