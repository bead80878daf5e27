/** `memdrift stats`, `table` and `parse`: what is in a capture. */
import type { Command } from 'commander';
import {
  type CaptureStats,
  captureText,
  readCaptureStats,
  readCaptureTable,
} from '../capture/capture.ts';
import { MemdriftError } from '../errors.ts';
import { allocationsText } from '../report/allocations_text.ts';
import { statsText } from '../report/stats_text.ts';
import { exitCodes, writeError } from './program.ts';

interface JsonFlag {
  readonly json?: true;
}

interface TableFlags extends JsonFlag {
  readonly leaks?: true;
  readonly rows: string;
}

const schemaVersion = 1;

/** Adds the commands; a damaged capture is read up to the damage, then exit code 2. */
export function registerCaptures(program: Command): void {
  program
    .command('stats')
    .description('events, allocated bytes, peak and leaks of a capture')
    .argument('<file>', 'a capture')
    .option('--json', 'one JSON object on stdout; sizes in bytes')
    .action(async (file: string, flags: JsonFlag) => {
      const stats = await readCaptureStats(file);
      const json = { schemaVersion, options: { file }, ...stats };
      process.stdout.write(flags.json ? `${JSON.stringify(json, null, 2)}\n` : statsText(stats));
      tellDamage(file, stats);
    });
  program
    .command('table')
    .description('which stacks held how much at the peak')
    .argument('<file>', 'a capture')
    .option('--leaks', 'at the end of the capture instead')
    .option('-n, --rows <count>', 'this many of the largest', '10')
    .option('--json', 'one JSON object on stdout, with all rows; sizes in bytes')
    .action(table);
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
      for await (const text of captureText(file)) {
        if (!process.stdout.write(text)) await drained();
      }
      tellDamage(file, await readCaptureStats(file));
    });
}

async function table(file: string, flags: TableFlags): Promise<void> {
  const count = Number(flags.rows);
  if (!Number.isInteger(count) || count < 1) {
    throw new MemdriftError('ERR_INVALID', `--rows is ${flags.rows}; it takes a number from 1`);
  }
  const leaks = flags.leaks === true;
  const found = await readCaptureTable(file, { leaks });
  const json = { schemaVersion, options: { file, leaks }, ...found };
  const when = leaks ? 'at the end' : 'at the peak';
  process.stdout.write(
    flags.json ? `${JSON.stringify(json, null, 2)}\n` : allocationsText(found, { count, when }),
  );
  tellDamage(file, found.stats);
}

function tellDamage(file: string, { damage }: CaptureStats): void {
  if (damage === null) return;
  writeError(`${file} can be read up to here only: ${damage}`);
  process.exitCode = exitCodes.usage;
}

function drained(): Promise<void> {
  return new Promise((resolve) => {
    const goOn = (): void => {
      process.stdout.off('drain', goOn).off('close', goOn);
      resolve();
    };
    process.stdout.on('drain', goOn).on('close', goOn);
  });
}
