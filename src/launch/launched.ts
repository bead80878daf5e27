/** Starts a program beside this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Ended } from './ending.ts';
import { ForwardedSignals } from './forwarded_signals.ts';

/** A program that was started beside this process and gets its signals. */
export class Launched {
  readonly #child: ChildProcess;
  readonly #signals = new ForwardedSignals();
  readonly ended: Promise<Ended>;

  /** Rejects `started` with the system's error when there is nothing to run. */
  constructor(command: readonly [string, ...string[]], environment: NodeJS.ProcessEnv) {
    const [file, ...args] = command;
    this.#child = spawn(file, args, { stdio: 'inherit', env: environment });
    if (this.#child.pid !== undefined) this.#signals.to(this.#child.pid);
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.#signals.end();
      return { code, signal };
    });
    // A command that did not start has no end to wait for.
    this.ended.catch(() => {});
  }

  /** Process id of the witness now, or null. */
  get helperPid(): number | null {
    return this.#signals.witness?.pid ?? null;
  }

  /** Returns true for every process that was a witness. */
  isHelper(one: { readonly pid: number; readonly startTimeTicks: number | null }): boolean {
    return this.#signals.witness?.processes.has(`${one.pid}:${one.startTimeTicks}`) === true;
  }

  /** Resolves with the program's process id; rejects with the system's error. */
  async started(): Promise<number> {
    if (this.#child.pid === undefined) await once(this.#child, 'spawn');
    return this.#child.pid as number;
  }
}
