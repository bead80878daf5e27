#!/usr/bin/env node
/** The `memdrift` command. */
import { Command } from 'commander';
import { configureProgram, packageVersion, runProgram } from './commands/program.ts';

type Register = (program: Command) => void;

/**
 * In the order of the help text. The one that is called is loaded alone: all of them take longer
 * than most of their work does.
 */
const commands: readonly (readonly [names: readonly string[], load: () => Promise<Register>])[] = [
  [
    ['experiment'],
    async () => {
      const { addExperiment } = await import('./commands/experiment.ts');
      return (program) => addExperiment(program.command('experiment'), 'memdrift experiment');
    },
  ],
  [['top'], async () => (await import('./commands/top.ts')).registerTop],
  [['explain'], async () => (await import('./commands/explain.ts')).registerExplain],
  [['ps'], async () => (await import('./commands/ps.ts')).registerPs],
  [['watch'], async () => (await import('./commands/watch.ts')).registerWatch],
  [['run'], async () => (await import('./commands/run.ts')).registerRun],
  [['attach', 'detach'], async () => (await import('./commands/attach.ts')).registerAttach],
  [['live'], async () => (await import('./commands/live.ts')).registerLive],
  [['stats', 'parse'], async () => (await import('./commands/captures.ts')).registerCaptures],
  [['table'], async () => (await import('./commands/table.ts')).registerTable],
  [['summary'], async () => (await import('./commands/summary.ts')).registerSummary],
  [['tree'], async () => (await import('./commands/tree.ts')).registerTree],
  [['diff'], async () => (await import('./commands/diff.ts')).registerDiff],
  [['flamegraph', 'report'], async () => (await import('./commands/pages.ts')).registerPages],
  [['transform'], async () => (await import('./commands/transform.ts')).registerTransform],
  [['store'], async () => (await import('./commands/store.ts')).addStore],
];

const program = configureProgram(new Command('memdrift'))
  .description('Says where the memory of a Node program, or of a group of processes, really is.')
  .version(packageVersion())
  .enablePositionalOptions();

const called = commands.filter(([names]) => names.includes(process.argv[2] ?? ''));
// Help, a wrong name and no name are about all of them.
for (const [, load] of called.length > 0 ? called : commands) (await load())(program);

await runProgram(program);
