#!/usr/bin/env node
/** The `memdrift` command. */
import { Command } from 'commander';
import { registerAttach } from './commands/attach.ts';
import { registerCaptures } from './commands/captures.ts';
import { registerDiff } from './commands/diff.ts';
import { addExperiment } from './commands/experiment.ts';
import { registerPages } from './commands/flamegraph.ts';
import { registerLive } from './commands/live.ts';
import { configureProgram, packageVersion, runProgram } from './commands/program.ts';
import { registerPs } from './commands/ps.ts';
import { registerRun } from './commands/run.ts';
import { addStore } from './commands/store.ts';
import { registerSummary } from './commands/summary.ts';
import { registerTable } from './commands/table.ts';
import { registerTransform } from './commands/transform.ts';
import { registerTree } from './commands/tree.ts';

const program = configureProgram(new Command('memdrift'))
  .description('Says where the memory of a Node program, or of a group of processes, really is.')
  .version(packageVersion())
  .enablePositionalOptions();

addExperiment(program.command('experiment'), 'memdrift experiment');
registerPs(program);
registerRun(program);
registerAttach(program);
registerLive(program);
registerCaptures(program);
registerTable(program);
registerSummary(program);
registerTree(program);
registerDiff(program);
registerPages(program);
registerTransform(program);
addStore(program);

await runProgram(program);
