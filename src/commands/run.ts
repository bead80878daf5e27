/** `memdrift run`: a Node program, tracked from its first line, with its children. */
import { mkdirSync, mkdtempSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { MemdriftError } from '../errors.ts';
import { becomeProgram, withoutStreams } from '../launch/become_program.ts';
import { startFailureCode } from '../launch/ending.ts';
import { printable } from '../report/printable.ts';
import { socketFolder, sweepSockets } from '../socket_folder.ts';
import { newCapturePath } from '../tracker/capture_path.ts';
import { trackedEnvironment } from '../tracker/launch.ts';
import { checkedTrackerOptions } from '../tracker/options.ts';

interface RunFlags {
  readonly output?: string;
  readonly eval?: string;
  readonly nativeStacks: boolean;
  readonly lines?: true;
  readonly jsHeap?: true;
  readonly commandLine: boolean;
  readonly children: boolean;
  readonly intervalMs?: string;
  readonly maxBytes?: string;
  readonly sampleBytes?: string;
}

/** Adds `memdrift run`, which becomes the program. */
export function registerRun(program: Command): void {
  program
    .command('run')
    .description('run a Node program and record every allocation of it and its children')
    .argument('[script]', 'the program; not with --eval')
    .argument('[args...]', 'what the program is given; options of run go before the script')
    .option(
      '-o, --output <file>',
      "the program's capture, with its children's beside it (default: in a new folder " +
        'memdrift-TIME-PID here, or in the temporary folder where none can be made here)',
    )
    .option('-e, --eval <code>', 'run this instead of a script')
    .option('--no-native-stacks', 'JavaScript frames only')
    .option('--lines', 'exact lines and inlined functions; about 10 MB more')
    .option('--js-heap', 'also the objects of the JavaScript heap, by samples')
    .option('--no-command-line', "record the program's name, not its arguments")
    .option('--no-children', 'the program alone, not the Node programs that it starts')
    .option('--interval-ms <ms>', 'between two rows of the memory series (default: 10)')
    .option('--sample-bytes <n>', 'one allocation in so many bytes; 0: all (default: 0)')
    .option('--max-bytes <n>', 'close the capture when it has this size (default: no limit)')
    .passThroughOptions()
    .action(async (script: string | undefined, args: string[], flags: RunFlags) => {
      process.exitCode = await run(programArguments(script, args, flags), flags);
    });
}

function programArguments(script: string | undefined, args: string[], flags: RunFlags): string[] {
  if (flags.eval !== undefined) {
    const rest = script === undefined ? args : [script, ...args];
    return ['-e', flags.eval, '--', ...rest];
  }
  if (script === undefined) {
    throw new MemdriftError('ERR_INVALID', 'nothing to run: give a script, or --eval CODE');
  }
  return [script, ...args];
}

async function run(nodeArguments: string[], flags: RunFlags): Promise<number> {
  const { role: _role, ...options } = checkedTrackerOptions({
    nativeStacks: flags.nativeStacks,
    lines: flags.lines === true,
    jsHeap: flags.jsHeap === true,
    children: flags.children,
    commandLine: flags.commandLine,
    ...(flags.intervalMs !== undefined && { intervalMs: Number(flags.intervalMs) }),
    ...(flags.sampleBytes !== undefined && { sampleBytes: Number(flags.sampleBytes) }),
    ...(flags.maxBytes !== undefined && { maxBytes: Number(flags.maxBytes) }),
  });
  const { file, folder } = captureTarget(flags.output);
  const sockets = await ownSocketFolder();
  // Process ids are reused: with the time the name of a run is unique.
  const run = `${process.pid}-${Date.now()}`;
  const order = { folder, file, launcherPid: process.pid, run, socketFolder: sockets, options };
  const environment = trackedEnvironment(process.env, order);
  // Said before the program starts: this process is the program from then on.
  say(`captures in ${file ?? folder}`);
  const argv = [process.argv0, ...process.execArgv, ...nodeArguments];
  const error = becomeProgram(process.execPath, argv, environment);
  say(error.message);
  return startFailureCode(error);
}

/**
 * Returns the folder for control sockets; null where there is none: the program is tracked all the
 * same.
 */
async function ownSocketFolder(): Promise<string | null> {
  try {
    await withoutStreams(sweepSockets);
    return socketFolder();
  } catch (error) {
    say(`attach, detach and explain will not reach the program: ${(error as Error).message}`);
    return null;
  }
}

/**
 * Writes without a stream, which would change the flags of a descriptor that the program inherits.
 */
function say(message: string): void {
  try {
    writeSync(2, `memdrift: ${printable(message)}\n`);
  } catch {
    // A closed stderr keeps no program from running.
  }
}

function captureTarget(output: string | undefined): { file: string | null; folder: string } {
  if (output === undefined) return { file: null, folder: newFolder() };
  const file = newCapturePath(output);
  return { file, folder: dirname(file) };
}

/** In the working folder; where that cannot be written, with the system's temporary files. */
function newFolder(): string {
  const name = `memdrift-${Date.now()}-${process.pid}`;
  try {
    mkdirSync(name, { mode: 0o700 });
    return resolve(name);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EACCES', 'EPERM', 'EROFS'].includes(code)) throw error;
    return mkdtempSync(join(tmpdir(), `${name}-`));
  }
}
