/** How a program ended, and the same end for this process. */
import { constants } from 'node:os';
import { binding } from '../binding.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The exit codes of a shell for a missing command, and for one that cannot be run. */
const notFound = 127;
const notExecutable = 126;

/**
 * Ends this process by the program's signal, so that a shell and a service manager see the same
 * end. Returns the exit code where the program exited, or where the signal does not end this
 * process.
 */
export function endLike({ code, signal }: Ended): number {
  if (signal === null) return code ?? 0;
  const number = constants.signals[signal];
  binding().launchEndBySignal(number);
  return 128 + number;
}

/** Returns the exit code of a shell for a command that could not be started. */
export function startFailureCode(error: unknown): number {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' ? notFound : notExecutable;
}
