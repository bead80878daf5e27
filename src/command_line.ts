/** The commands of `memdrift`, by the first argument. */
import { Command } from 'commander';
import { configureProgram, packageVersion, runProgram } from './commands/program.ts';
import { loadInTurn } from './module_order.ts';

type Register = (program: Command) => void;

/** The names of commands, the module in commands/ that has them, and how it is loaded. */
type Entry = readonly [names: readonly string[], module: string, load: () => Promise<Register>];

/**
 * In the order of the help text. The one that is called is loaded alone: all of them take longer
 * than most of their work does.
 */
const commands: readonly Entry[] = [
  [
    ['experiment'],
    'experiment',
    async () => {
      const { addExperiment } = await import('./commands/experiment.ts');
      return (program) => addExperiment(program.command('experiment'), 'memdrift experiment');
    },
  ],
  [['top'], 'top', async () => (await import('./commands/top.ts')).registerTop],
  [['explain'], 'explain', async () => (await import('./commands/explain.ts')).registerExplain],
  [['ps'], 'ps', async () => (await import('./commands/ps.ts')).registerPs],
  [['watch'], 'watch', async () => (await import('./commands/watch.ts')).registerWatch],
  [['run'], 'run', async () => (await import('./commands/run.ts')).registerRun],
  [
    ['attach', 'detach'],
    'attach',
    async () => (await import('./commands/attach.ts')).registerAttach,
  ],
  [['live'], 'live', async () => (await import('./commands/live.ts')).registerLive],
  [
    ['stats', 'parse'],
    'captures',
    async () => (await import('./commands/captures.ts')).registerCaptures,
  ],
  [['table'], 'table', async () => (await import('./commands/table.ts')).registerTable],
  [['summary'], 'summary', async () => (await import('./commands/summary.ts')).registerSummary],
  [['tree'], 'tree', async () => (await import('./commands/tree.ts')).registerTree],
  [['diff'], 'diff', async () => (await import('./commands/diff.ts')).registerDiff],
  [
    ['flamegraph', 'report'],
    'pages',
    async () => (await import('./commands/pages.ts')).registerPages,
  ],
  [
    ['transform'],
    'transform',
    async () => (await import('./commands/transform.ts')).registerTransform,
  ],
  [['store'], 'store', async () => (await import('./commands/store.ts')).addStore],
];

/** Runs the command that the arguments name, and sets the exit code. */
export async function runCommandLine(): Promise<void> {
  const program = configureProgram(new Command('memdrift'))
    .description('Says where the memory of a Node program, or of a group of processes, really is.')
    .version(packageVersion())
    .enablePositionalOptions();
  const called = commands.filter(([names]) => names.includes(process.argv[2] ?? ''));
  // Help, a wrong name and no name are about all of them.
  for (const [, module, load] of called.length > 0 ? called : commands) {
    await loadInTurn(new URL(`./commands/${module}.js`, import.meta.url));
    (await load())(program);
  }
  await runProgram(program);
}
