/** A program in the place of this process. */
import inspector from 'node:inspector';
import { getSystemErrorMap } from 'node:util';
import { binding } from '../binding.ts';

/**
 * Replaces this process by `file`, with the same process id, group, parent, terminal and
 * descriptors: signals, exit code and memory are the program's alone. Returns only if it failed:
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
  // Left open, its port would not be the program's, which may have been started with --inspect.
  if (inspector.url() !== undefined) inspector.close();
  // A launcher that is tracked itself closes its capture; nothing else has listeners here.
  process.emit('exit', 0);
  const number = binding().launchBecome(file, argv, variables);
  const [code = 'UNKNOWN', reason = `error ${number}`] = getSystemErrorMap().get(-number) ?? [];
  return Object.assign(new Error(`cannot run ${file}: ${reason}`), { code });
}
