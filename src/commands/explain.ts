/** `memdrift explain`: why the resident memory of a process is what it is, and what it grew by. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { explain } from '../drift/explain.ts';
import type { Explanation } from '../drift/explain_model.ts';
import { growthBetween } from '../drift/growth.ts';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { explainText } from '../report/explain_text.ts';
import { growthText } from '../report/growth_text.ts';
import { addEntryOptions, entryOptions } from './entry_options.ts';
import { writeOutput } from './output.ts';
import { writeJson } from './program.ts';
import { isPid, pidOf } from './values.ts';

interface ExplainFlags {
  readonly deep?: true;
  readonly json?: true;
  readonly outside?: true;
  readonly output?: string;
  readonly since?: string;
  readonly yesOpenInspector?: true;
  readonly signal?: true;
}

/** Adds `memdrift explain PID` and `memdrift explain --since A B`. */
export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .description('why the resident memory of a process is what it is: each byte under one cause')
    .argument('<pid>', 'the process; with --since also a file that -o made')
    .option('--since <file>', 'what grew since a file that -o, or --json, made')
    .option(
      '--deep',
      'also memory by thread, and which Buffers are referenced: collects its garbage',
    )
    .option('--outside', 'by its mappings alone, without entering it: an estimate')
    .option('-o, --output <file>', 'write it as JSON, for a later --since')
    .option('--json', 'one JSON object on stdout; sizes in bytes, null: not known');
  addEntryOptions(command).action(run);
}

async function run(what: string, flags: ExplainFlags): Promise<void> {
  const before = flags.since === undefined ? null : readExplanation(flags.since);
  const isFile = before !== null && !isPid(what);
  const explanation = isFile ? readExplanation(what) : await explainPid(pidOf(what), flags);
  if (flags.output !== undefined) save(flags.output, explanation);
  if (before === null) {
    await print(explanation, flags, explainText);
    return;
  }
  const growth = growthBetween(before, explanation);
  await print(growth, flags, (model) => growthText(model, explanation));
}

async function explainPid(pid: number, flags: ExplainFlags): Promise<Explanation> {
  const explanation = await explain(pid, {
    deep: flags.deep === true,
    outside: flags.outside === true,
    ...entryOptions(flags),
  });
  const { options, source, sourceReason } = explanation;
  if (source === 'outside' && !options.outside) {
    process.stderr.write(`memdrift: estimated from outside: ${sourceReason}\n`);
  }
  return explanation;
}

async function print<Model extends object>(
  model: Model,
  { json }: ExplainFlags,
  toText: (model: Model) => string,
): Promise<void> {
  if (json) await writeJson(model);
  else process.stdout.write(toText(model));
}

function save(path: string, explanation: Explanation): void {
  try {
    const plan = { madeFrom: [], replaces: false };
    writeOutput(path, [`${JSON.stringify(explanation)}\n`], plan);
  } catch (cause) {
    if (!isMemdriftError(cause, 'ERR_EXISTS')) throw cause;
    // There is no --force here: an older explanation is what --since compares with.
    const what = `${path} exists; name another file with -o`;
    throw new MemdriftError('ERR_EXISTS', what, { path, cause });
  }
}

function readExplanation(path: string): Explanation {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const what = `cannot read ${path}: ${(cause as Error).message}`;
    throw new MemdriftError('ERR_SYSTEM', what, { path, cause });
  }
  const explanation = parsed(text);
  if (explanation !== null) return explanation;
  const what = `${path} is not what memdrift explain -o writes`;
  throw new MemdriftError('ERR_MALFORMED', what, { path });
}

/** Null: it is not one, or of a version that we do not know. */
function parsed(text: string): Explanation | null {
  try {
    const explanation = JSON.parse(text) as Partial<Explanation> | null;
    const isOne =
      explanation?.schemaVersion === 1 &&
      typeof explanation.rssBytes === 'number' &&
      typeof explanation.unexplainedBytes === 'number' &&
      Array.isArray(explanation.causes) &&
      Array.isArray(explanation.mappings) &&
      typeof explanation.otherMappings === 'object';
    return isOne ? (explanation as Explanation) : null;
  } catch {
    return null;
  }
}
