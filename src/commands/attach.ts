/** `memdrift attach` and `memdrift detach`: a process that runs already. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { isRunning } from '../capture/running.ts';
import { MemdriftError } from '../errors.ts';
import { attach, detach } from '../tracker/attach.ts';
import { addEntryOptions, entryOptions } from './entry_options.ts';

interface AttachFlags {
  readonly output?: string;
  readonly duration?: string;
  readonly sampleBytes?: string;
  readonly nativeStacks: boolean;
  readonly lines?: true;
  readonly jsHeap?: true;
  readonly commandLine: boolean;
  readonly yesOpenInspector?: true;
  readonly signal?: true;
}

/** Adds both commands. */
export function registerAttach(program: Command): void {
  const begin = program
    .command('attach')
    .description('record the allocations of a Node process that runs, from now on')
    .argument('<pid>', 'the process')
    .option('-o, --output <file>', 'the capture (default: attached-PID-TIME.mdc)')
    .option('--duration <s>', 'detach after so long (default: memdrift detach ends it)')
    .option('--sample-bytes <n>', 'one allocation in so many bytes; 0: all (default: 524288)')
    .option('--no-native-stacks', 'JavaScript frames only')
    .option('--lines', 'exact lines and inlined functions; about 10 MB more')
    .option('--js-heap', 'also the objects of the JavaScript heap, by samples')
    .option('--no-command-line', "record the program's name, not its arguments");
  addEntryOptions(begin).action(async (pid: string, flags: AttachFlags) =>
    attachTo(pidOf(pid), flags),
  );
  const end = program
    .command('detach')
    .description('end what attach began')
    .argument('<pid>', 'the process');
  addEntryOptions(end).action(async (pid: string, flags: AttachFlags) => {
    process.stdout.write(`${await detach(pidOf(pid), entryOptions(flags))}\n`);
  });
}

async function attachTo(pid: number, flags: AttachFlags): Promise<void> {
  const durationMs = flags.duration === undefined ? null : Number(flags.duration) * 1000;
  if (durationMs !== null && !(durationMs > 0)) {
    throw new MemdriftError('ERR_INVALID', `--duration is ${flags.duration}; it takes seconds`);
  }
  const path = flags.output ?? `attached-${pid}-${Date.now()}.mdc`;
  const { nativeStacks } = flags;
  const sampleBytes = flags.sampleBytes === undefined ? {} : { sampleBytes: +flags.sampleBytes };
  const allowed = entryOptions(flags);
  const more = {
    lines: flags.lines === true,
    jsHeap: flags.jsHeap === true,
    commandLine: flags.commandLine,
  };
  await attach(pid, { path, nativeStacks, ...more, ...sampleBytes, ...allowed });
  process.stdout.write(`${path}\n`);
  if (durationMs === null) return;
  const end = performance.now() + durationMs;
  while (performance.now() < end && isRunning(pid)) await sleep(Math.min(100, durationMs));
  if (isRunning(pid)) await detach(pid, allowed);
}

function pidOf(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new MemdriftError('ERR_INVALID', `${text} is no process id`);
}
