/** `memdrift stats` and `parse`: what is in a capture. */
import type { Command } from 'commander';
import { captureText, readCaptureStats } from '../capture/capture.ts';
import { MemdriftError } from '../errors.ts';
import { statsText } from '../report/stats_text.ts';
import { tellDamage } from './choice.ts';
import { schemaVersion } from './program.ts';

interface JsonFlag {
  readonly json?: true;
}

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
      tellDamage(file, stats.damage);
    });
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
      tellDamage(file, (await readCaptureStats(file)).damage);
    });
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
