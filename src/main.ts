#!/usr/bin/env node
/** `node dist/main.js [flags]`: the experiment. The same as `memdrift experiment`. */
import { Command } from 'commander';
import { addExperiment } from './commands/experiment.ts';
import { configureProgram, packageVersion, runProgram } from './commands/program.ts';

const program = configureProgram(new Command('node dist/main.js')).version(packageVersion());
await runProgram(addExperiment(program, 'node dist/main.js'));
