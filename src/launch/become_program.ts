/** Replaces this process by a program. */
import { createRequire } from 'node:module';
import { binding } from '../binding.ts';

// Not imported: that reads all that these modules export, and makes streams of this process's
// descriptors by it. A pipe behind them, which is the program's as well, would stay O_NONBLOCK.
const require = createRequire(import.meta.url);
const inspector = require('node:inspector') as typeof import('node:inspector');
const { getSystemErrorMap } = require('node:util') as typeof import('node:util');

const streams = ['stdin', 'stdout', 'stderr'] as const;

/**
 * Does `work` with no stream made of this process's descriptors, for the same reason: Node's
 * sockets look at process.stderr when they end.
 */
export async function withoutStreams<T>(work: () => Promise<T>): Promise<T> {
  const made = streams.map((name) => Object.getOwnPropertyDescriptor(process, name));
  for (const name of streams)
    Object.defineProperty(process, name, { configurable: true, get: () => undefined });
  try {
    return await work();
  } finally {
    streams.forEach((name, i) => {
      Object.defineProperty(process, name, made[i] as PropertyDescriptor);
    });
  }
}

/**
 * Replaces this process by `file`, with the same process id, group, parent, terminal and
 * descriptors: signals, exit code and memory are the program's alone. Returns only on failure, with
 * the system's error.
 */
export function becomeProgram(
  file: string,
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): NodeJS.ErrnoException {
  const variables = Object.entries(environment)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  // Left open, it would keep its port from the program, which may run with --inspect too.
  if (inspector.url() !== undefined) inspector.close();
  // A launcher that is tracked itself closes its capture; nothing else has listeners here.
  process.emit('exit', 0);
  const number = binding().launchBecome(file, argv, variables);
  const [code = 'UNKNOWN', reason = `error ${number}`] = getSystemErrorMap().get(-number) ?? [];
  return Object.assign(new Error(`cannot run ${file}: ${reason}`), { code });
}
