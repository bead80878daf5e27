/** `memdrift transform`: a capture for other tools. */
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Argument, type Command } from 'commander';
import type { CaptureReport } from '../capture/capture_model.ts';
import { collapsedOf, csvOf, pprofOf, speedscopeOf } from '../report/exports.ts';
import {
  besideCapture,
  type ChoiceFlags,
  checkFree,
  type OutputFlags,
  readChosen,
  withChoice,
} from './choice.ts';
import { batches, writeOutput } from './output.ts';
import { writePieces } from './program.ts';

interface Format {
  readonly ending: string;
  /** With rows of what is not held at the moment. */
  readonly all: boolean;
  readonly contentOf: (report: CaptureReport, name: string) => Iterable<string | Uint8Array>;
}

const formats = {
  pprof: { ending: 'pb.gz', all: true, contentOf: (report) => [gzipSync(pprofOf(report))] },
  speedscope: {
    ending: 'speedscope.json',
    all: false,
    contentOf: (report, name) => [JSON.stringify(speedscopeOf(report, name))],
  },
  collapsed: { ending: 'txt', all: false, contentOf: collapsedOf },
  csv: { ending: 'csv', all: false, contentOf: csvOf },
} as const satisfies Record<string, Format>;

/** Adds `memdrift transform`. */
export function registerTransform(program: Command): void {
  withChoice(program.command('transform'))
    .description('a capture for other tools')
    .addArgument(new Argument('<format>', 'the form').choices(Object.keys(formats)))
    .argument('<file>', 'a capture')
    .option('-o, --output <file>', 'where it goes; - is stdout (default: FILE with its ending)')
    .option('-f, --force', 'replace a file that is there')
    .action(transform);
}

async function transform(
  name: keyof typeof formats,
  file: string,
  flags: ChoiceFlags & OutputFlags,
): Promise<void> {
  const format: Format = formats[name];
  const to = flags.output ?? besideCapture(file, format.ending);
  if (to !== '-') checkFree(to, flags);
  const report = await readChosen(file, flags, { all: format.all });
  const content = format.contentOf(report, basename(file));
  if (to === '-') {
    await writePieces(batches(content));
    return;
  }
  writeOutput(to, content, { madeFrom: [file], replaces: flags.force === true });
  process.stdout.write(`${to}\n`);
}
