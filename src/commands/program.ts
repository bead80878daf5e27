/** What all commands share: how a command line is run, how it fails, and with which exit code. */
import { readFileSync } from 'node:fs';
import { type Command, CommanderError } from 'commander';
import { isMemdriftError } from '../errors.ts';
import { printable } from '../report/printable.ts';
import { batches } from './output.ts';

/** What a command line ended with; the numbers are a contract with scripts. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, damaged: 3 } as const;

/** Of what `writeJson` prints; the models of a group and of an experiment have their own. */
const schemaVersion = 1;

/** Makes `command` and those below it fail by throwing, with messages in one form. */
export function configureProgram(command: Command): Command {
  return command
    .hook('preAction', (_, called) => {
      // A stream changes the flags of its descriptor, which `run` hands on to the program.
      if (called.name() !== 'run') survivePipeEnds();
    })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => outputOf('stdout').write(text),
      writeErr: (text) => outputOf('stderr').write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'memdrift: ')),
    })
    .configureHelp({ helpWidth: 100, sortSubcommands: false });
}

/** The version in package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Runs `command` on the process's arguments and sets the exit code. Errors that users can do
 * something about are one line on stderr; others, which are ours, keep their stack.
 */
export async function runProgram(command: Command): Promise<void> {
  try {
    await command.parseAsync();
  } catch (error) {
    survivePipeEnds();
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  // Commander has written its message, or its help, already.
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  if (isMemdriftError(error)) {
    writeError(error.message);
    return error.code === 'ERR_INVALID' ? exitCodes.usage : exitCodes.failed;
  }
  writeError(textOf(error));
  return exitCodes.failed;
}

/** What the system refused (a folder that is not there, a full disk) needs no stack. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'syscall' in error ? error.message : (error.stack ?? error.message);
}

/** One line on stderr, as every error of a command has it; it may quote what others have sent. */
export function writeError(message: string): void {
  process.stderr.write(`memdrift: ${message.split('\n').map(printable).join('\n')}\n`);
}

/**
 * Writes what `--json` prints: one object on stdout, with the version of its form. Lists, which
 * may be generators, are written one element at a time: together they may exceed a string.
 */
export async function writeJson(content: object): Promise<void> {
  await writePieces(batches(jsonPieces({ schemaVersion, ...content })));
}

/** Yields the text of JSON.stringify(content, null, 2) and a newline. */
export function* jsonPieces(content: object): Generator<string> {
  let before = '{\n  ';
  for (const [name, value] of Object.entries(content)) {
    if (value === undefined) continue;
    yield `${before}${JSON.stringify(name)}: `;
    if (isList(value)) yield* listPieces(value);
    else yield jsonText(value, '  ');
    before = ',\n  ';
  }
  yield '\n}\n';
}

function* listPieces(list: Iterable<unknown>): Generator<string> {
  let before = '[\n    ';
  for (const element of list) {
    yield before + jsonText(element ?? null, '    ');
    before = ',\n    ';
  }
  yield before.startsWith('[') ? '[]' : '\n  ]';
}

function isList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

/** Returns JSON text with further lines indented: no string in JSON contains a newline. */
function jsonText(value: unknown, indent: string): string {
  const text = JSON.stringify(value, null, 2).replaceAll('\n', `\n${indent}`);
  return text.replace(/[\x7f-\x9f]/g, escaped);
}

/** JSON leaves these control characters as they are, and a terminal obeys them. */
function escaped(control: string): string {
  return `\\u00${control.charCodeAt(0).toString(16)}`;
}

/** True if stdout takes colours: a terminal, and nobody asked for none. */
export function wantsColor(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return process.stdout.isTTY === true && !NO_COLOR && TERM !== 'dumb';
}

let isOutputLost = false;

/**
 * Writes to stdout what is made piece by piece, no faster than it is taken. False: nobody takes it
 * any more, and the rest was not made.
 */
export async function writePieces(
  pieces: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
): Promise<boolean> {
  for await (const piece of pieces) {
    if (!process.stdout.write(piece)) await drained();
    if (isOutputLost) return false;
  }
  return true;
}

function drained(): Promise<void> {
  return new Promise((resolve) => {
    const goOn = (): void => {
      process.stdout.off('drain', goOn).off('close', goOn);
      resolve();
    };
    process.stdout.on('drain', goOn).on('close', goOn);
  });
}

function outputOf(stream: 'stdout' | 'stderr'): NodeJS.WriteStream {
  survivePipeEnds();
  return process[stream];
}

let isSurvivingPipeEnds = false;

/** A reader such as `head` that has seen enough is no error; output that fails otherwise is one. */
function survivePipeEnds(): void {
  if (isSurvivingPipeEnds) return;
  isSurvivingPipeEnds = true;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Every further piece fails in the same way.
    const isKnown = isOutputLost;
    isOutputLost = true;
    if (isKnown || error.code === 'EPIPE') return;
    writeError(`cannot write the output: ${error.message}`);
    process.exitCode = exitCodes.failed;
  });
  // Where errors cannot be written there is nobody left to tell.
  process.stderr.on('error', () => {});
}
