/** The processes of a run as main sees them: started, listened to, ended, and how they died. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MemdriftError } from '../errors.ts';
import type { ChildSetup, ToChild, ToMain } from './messages.ts';
import type { OwnMemory } from './own_memory.ts';

/** How long a child may take to end by itself once it was told to. */
const graceMs = 1000;

export interface ChildEvents {
  onMessage(child: Child, message: ToMain): void;
  /** The child ended before it was told to. */
  onDeath(child: Child, error: MemdriftError): void;
}

export class Child {
  readonly role: 'server' | 'client';
  readonly index: number;
  readonly label: string;
  readonly pid: number;
  /** Settles when the process is gone. */
  readonly ended: Promise<void>;
  /** The last that it said of its memory. */
  memory: OwnMemory | null = null;
  arraysChecked = 0;
  finished = false;
  /** How it died, or null. */
  died: string | null = null;
  /** What it said itself of why it fails. */
  failure: MemdriftError | null = null;
  readonly #process: ChildProcess;
  #expectedToEnd = false;

  constructor(setup: ChildSetup, events: ChildEvents) {
    this.role = setup.role;
    this.index = setup.index;
    this.label = setup.role === 'server' ? 'Server' : `Client ${setup.index}`;
    this.#process = fork(entryOf(setup.role), [], {
      execArgv: [],
      env: environment(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    if (this.#process.pid === undefined) {
      throw new MemdriftError('ERR_SYSTEM', `${this.label} could not be started: fork failed`);
    }
    this.pid = this.#process.pid;
    this.#process.on('message', (message: ToMain) => events.onMessage(this, message));
    // 'error' here is a message that could not be sent to a process that has just ended.
    this.#process.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', async (code, signal) => {
        if (!this.#expectedToEnd) {
          this.died = describeExit(code, signal);
          await this.#allSaid();
          events.onDeath(this, this.failure ?? this.#deathError());
        }
        resolve();
      });
    });
    this.send(setup);
  }

  send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  /** Tells the child to end, by its own means or, after a second, without them. */
  async end(how: 'finish' | 'abort'): Promise<void> {
    this.#expectedToEnd = true;
    this.send({ type: how });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  /** On a busy machine the end is known before the last messages are read: why it ended, say. */
  async #allSaid(): Promise<void> {
    if (!this.#process.connected) return;
    const timer = new AbortController();
    const late = sleep(graceMs, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([once(this.#process, 'disconnect'), late]);
    timer.abort();
  }

  #deathError(): MemdriftError {
    return new MemdriftError('ERR_DIED', `${this.label} (pid ${this.pid}) ${this.died}`, {
      pid: this.pid,
      label: this.label,
    });
  }
}

/**
 * Ours, without what makes each Node read a file of certificates as it starts: 80 ms of CPU, times
 * the number of processes, and none of them speaks TLS.
 */
function environment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _unused, ...rest } = process.env;
  return rest;
}

function entryOf(role: 'server' | 'client'): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./${role}.${extension}`, import.meta.url));
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was killed by ${signal}`;
  return `ended with exit code ${code} before its work was done`;
}
