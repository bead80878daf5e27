/** `memdrift table`: the stacks that held the most. */
import type { Command } from 'commander';
import { joinedRows, withoutInternals } from '../analysis/internals.ts';
import { eachRow, largestRows } from '../analysis/report_rows.ts';
import { tableText } from '../report/table_text.ts';
import { type ChoiceFlags, numberFrom1, readChosen, titleText, withChoice } from './choice.ts';
import { batches } from './output.ts';
import { writeJson, writePieces } from './program.ts';

interface TableFlags extends ChoiceFlags {
  readonly rows: number;
  readonly hideInternals?: true;
  readonly json?: true;
}

/** Adds `memdrift table`. */
export function registerTable(program: Command): void {
  withChoice(program.command('table'))
    .description('which stacks held how much at the peak')
    .argument('<file>', 'a capture')
    .option('-n, --rows <count>', 'this many of the largest', numberFrom1, 10)
    .option('--hide-internals', "by the program's functions only")
    .option('--json', 'one JSON object on stdout, with all rows; sizes in bytes')
    .action(table);
}

async function table(file: string, flags: TableFlags): Promise<void> {
  const chosen = await readChosen(file, flags);
  const report = flags.hideInternals ? joinedRows(withoutInternals(chosen)) : chosen;
  if (flags.json) {
    const { json: _, rows: __, ...options } = flags;
    const { totalBytes, leftOutBytes, stats } = report;
    const sums = { totalBytes, leftOutBytes };
    await writeJson({ options: { file, ...options }, ...sums, rows: eachRow(report), stats });
    return;
  }
  const what = titleText(flags, report);
  const head = { what, options: '--rows, or --json for all' };
  await writePieces(batches(tableText(largestRows(report, flags.rows), head)));
}
