/** The command that a watch is made for: started, told of signals, and how it ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';

/** What a shell says where there is no command, and where it is one that cannot be run. */
const notFound = 127;
const notExecutable = 126;

/** All that other processes send to have something done or ended. */
const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
/** What a terminal sends to all of its foreground group, so to the command as well. */
const fromTerminal = ['SIGINT', 'SIGQUIT'] as const;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Launched {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ended>;

  /** Rejects `started` with the system's error when there is nothing to run. */
  constructor(command: readonly [string, ...string[]], environment: NodeJS.ProcessEnv) {
    const [file, ...args] = command;
    for (const signal of forwarded) process.on(signal, () => this.#child.kill(signal));
    for (const signal of fromTerminal)
      process.on(signal, () => {
        if (!process.stdin.isTTY) this.#child.kill(signal);
      });
    this.#child = spawn(file, args, { stdio: 'inherit', env: environment });
    this.ended = once(this.#child, 'exit').then(([code, signal]) => ({ code, signal }));
    // Nobody waits for the end of what was never begun.
    this.ended.catch(() => {});
  }

  async started(): Promise<number> {
    if (this.#child.pid === undefined) await once(this.#child, 'spawn');
    return this.#child.pid as number;
  }
}

/** The exit code that a shell would have for it. */
export function exitCodeOf({ code, signal }: Ended): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

/** The exit code of a shell for a command that could not be started. */
export function startFailureCode(error: unknown): number {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' ? notFound : notExecutable;
}
