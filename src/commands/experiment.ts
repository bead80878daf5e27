/** The experiment as a command: flags in, one run, its report as text and JSON out. */
import { type Command, Option } from 'commander';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import {
  type NumberFlag,
  numberFlags,
  spellingsOf,
  type TextFlag,
  textFlags,
} from '../experiment/flags.ts';
import {
  type ExperimentFlags,
  type ExperimentOptions,
  experimentOptionsFrom,
} from '../experiment/options.ts';
import type { ExperimentReport } from '../experiment/report_model.ts';
import { runExperiment } from '../experiment/run.ts';
import { experimentText, progressText } from '../report/experiment_text.ts';
import { writeOutput } from './output.ts';
import { exitCodes, wantsColor } from './program.ts';
import { ProgressLine } from './progress.ts';

const summary = 'run the experiment on real shared memory and say where the memory was';

const description = `One server and several clients send arrays to each other through shared
memory. Every byte is checked, and the report says where the memory of all of them really was,
each page once.`.replaceAll('\n', ' ');

const usageExamples: readonly (readonly [string, string])[] = [
  ['', '10 clients, 20 rounds, arrays of 100 MB'],
  ['--clients 2 --array_size 1000000', 'a small one'],
  ['--placement rotate', "arrays move on, as in Ray's store"],
  ['--placement rotate --trim', 'the same, mappings given up'],
];

function helpAfter(usage: string): string {
  const lines = usageExamples.map(
    ([flags, what]) => `  $ ${`${usage} ${flags}`.padEnd(54)} ${what}`,
  );
  return `
Examples:
${lines.join('\n')}

Flags are taken with dashes and with underscores. Sizes are bytes, in the report MB of 10^6 bytes.
Exit code: 0 every array was checked, 1 not, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`;
}

/** Adds the experiment's flags and its action to `command`; `usage` is how users start it. */
export function addExperiment(command: Command, usage: string): Command {
  command.summary(summary).description(description).addHelpText('after', helpAfter(usage));
  for (const flag of [...numberFlags, ...textFlags]) {
    const [shown, ...hidden] = optionsOf(flag);
    if (shown) command.addOption(shown);
    for (const option of hidden) command.addOption(option.hideHelp());
  }
  return command.allowExcessArguments(false).action(async (flags: ExperimentFlags) => {
    const options = experimentOptionsFrom(flags);
    process.exitCode = await runAndShow(options);
  });
}

/** Commander takes two spellings per option; the first option shows them, the others are hidden. */
function optionsOf(flag: NumberFlag | TextFlag): readonly Option[] {
  const value = flag.placeholder === null ? '' : ` <${flag.placeholder}>`;
  const help = 'fallback' in flag ? `${flag.help} (default ${fallbackText(flag)})` : flag.help;
  const main = flag.alias === undefined ? [flag.name] : [flag.alias, flag.name];
  const others = spellingsOf(flag).filter((one) => !main.includes(one));
  const spelled = [main, ...others.map((one) => [one])];
  return spelled.map((names) => {
    const prefix = 'negated' in flag ? '--no-' : '--';
    const flags = names.map((name) => `${prefix}${name}`).join(', ');
    return new Option(`${flags}${value}`, help).helpGroup(`${flag.group}:`);
  });
}

function fallbackText({ fallback, unit }: NumberFlag): string {
  return unit === '' ? `${fallback}` : `${fallback} ${unit}`;
}

/** Returns the exit code. */
async function runAndShow(options: ExperimentOptions): Promise<number> {
  const shows = process.stdout.isTTY === true && !options.quiet;
  const line = new ProgressLine(process.stdout);
  const signals = new SignalWatch();
  let report: ExperimentReport;
  try {
    report = await runExperiment(options, {
      signal: signals.signal,
      onProgress: (progress) => {
        if (shows) line.show(progressText(progress));
      },
    });
  } catch (error) {
    writeJson(options.jsonFile, unstartedReport(options, error));
    throw error;
  } finally {
    signals.stop();
    line.clear();
  }
  process.stdout.write(experimentText(report, { color: wantsColor() }));
  writeJson(options.jsonFile, report);
  if (report.completed) return exitCodes.ok;
  if (signals.exitCode !== null) return signals.exitCode;
  // Again, where programs look for it: stdout may be a file that nobody reads now.
  process.stderr.write(`memdrift: ${report.error?.message ?? 'not every array was checked'}\n`);
  return exitCodes.failed;
}

/** What can be said of a run that could not start: programs that read the file learn why. */
function unstartedReport(options: ExperimentOptions, error: unknown): object {
  const code = isMemdriftError(error) ? error.code : null;
  const message = error instanceof Error ? error.message : String(error);
  return { schemaVersion: 1, options, completed: false, error: { code, message } };
}

function writeJson(path: string | null, report: object): void {
  if (path === null) return;
  try {
    writeOutput(path, [`${JSON.stringify(report, null, 2)}\n`], { madeFrom: [], replaces: true });
  } catch (cause) {
    throw new MemdriftError(
      'ERR_SYSTEM',
      `the run is over, but --json ${path} cannot be written: ${(cause as Error).message}`,
      { cause },
    );
  }
}

const endingSignals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** Turns the first signal that asks for an end into an abort; later ones change nothing. */
class SignalWatch {
  readonly #controller = new AbortController();
  readonly #onSignal = (name: NodeJS.Signals, number: number): void => {
    if (this.exitCode !== null) return;
    this.exitCode = 128 + number;
    const reason = new MemdriftError('ERR_INTERRUPTED', `${name}: the run was asked to end`);
    this.#controller.abort(reason);
  };
  /** What a shell calls the end by that signal; null: none came. */
  exitCode: number | null = null;

  constructor() {
    for (const name of endingSignals) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    for (const name of endingSignals) process.off(name, this.#onSignal);
  }
}
