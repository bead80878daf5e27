/** `memdrift stats` and `parse`: what is in a capture. */
import type { Command } from 'commander';
import { functionAllocations } from '../analysis/functions.ts';
import { onlyKinds } from '../analysis/report_rows.ts';
import { captureText, readCaptureReport, readCaptureStats } from '../capture/capture.ts';
import { heapKinds } from '../capture/capture_model.ts';
import { MemdriftError } from '../errors.ts';
import { allocatedText } from '../report/allocated_text.ts';
import { statsText } from '../report/stats_text.ts';
import { committedOption, numberFrom1, tellEnd } from './choice.ts';
import { writeJson, writePieces } from './program.ts';

interface StatsFlags {
  readonly numLargest: number;
  readonly committed?: true;
  readonly json?: true;
}

/** Adds the commands; a damaged capture is read up to the damage. */
export function registerCaptures(program: Command): void {
  program
    .command('stats')
    .description('totals of a capture, and what was allocated: by size, allocator and function')
    .argument('<file>', 'a capture')
    .option('-n, --num-largest <n>', 'this many of the largest functions', numberFrom1, 5)
    .addOption(committedOption())
    .option('--json', 'one JSON object on stdout; sizes in bytes')
    .action(stats);
  program
    .command('parse')
    .description('every record of a capture as a line of text, for a pipe or a file')
    .argument('<file>', 'a capture')
    .action(async (file: string) => {
      if (process.stdout.isTTY) {
        throw new MemdriftError(
          'ERR_INVALID',
          'parse prints a line per record, which no terminal wants: pipe it, or > FILE',
        );
      }
      const isTaken = await writePieces(captureText(file));
      if (isTaken) tellEnd(file, await readCaptureStats(file));
    });
}

async function stats(file: string, flags: StatsFlags): Promise<void> {
  const { numLargest, committed = false, json } = flags;
  const report = await readCaptureReport(file, {
    moment: 'end',
    all: true,
    joinThreads: true,
    committed,
  });
  const functions = functionAllocations(onlyKinds(report, heapKinds));
  const largest = {
    byBytes: functions.slice(0, numLargest),
    byCount: functions.toSorted((a, b) => b.count - a.count).slice(0, numLargest),
  };
  if (json) await writeJson({ options: { file, numLargest, committed }, ...report.stats, largest });
  else process.stdout.write(statsText(report.stats) + allocatedText(report.stats, largest));
  tellEnd(file, report.stats);
}
