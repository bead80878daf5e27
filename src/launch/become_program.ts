/** Replaces this process by a program. */
import inspector from 'node:inspector';
import { getSystemErrorMap } from 'node:util';
import { binding } from '../binding.ts';

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
