import type { Command } from 'commander';
import { measureGroup } from '../group/measure_group.ts';
import { psText } from '../report/ps_text.ts';
import { pidOf } from './values.ts';

interface PsFlags {
  readonly tree?: true;
  readonly segment?: readonly string[];
  readonly json?: true;
}

/** Adds `memdrift ps PID…`; its action throws MemdriftError. */
export function registerPs(program: Command): void {
  program
    .command('ps')
    .description('memory of processes as a group: each physical page once')
    .argument('<pid...>', 'process ids, also of processes that are not memdrift')
    .option('--tree', 'also all descendants of these processes')
    .option('--segment <path...>', 'also this shared memory, held by the group or not')
    .option('--json', 'one JSON object on stdout; sizes in bytes, null: not known')
    .action((pids: string[], flags: PsFlags) => {
      const snapshot = measureGroup(pids.map(pidOf), {
        tree: flags.tree ?? false,
        ...(flags.segment && { segments: flags.segment }),
      });
      const text = flags.json ? `${JSON.stringify(snapshot, null, 2)}\n` : psText(snapshot);
      process.stdout.write(text);
    });
}
