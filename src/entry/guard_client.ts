/** Starts the guard and talks to it; see guard.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MemdriftError } from '../errors.ts';
import { answerMs, beginMs } from './asking.ts';
import type { AskOrder, GuardAnswer, GuardOrder } from './guard_model.ts';

/** The compiled guard: the path is the same from src/entry and from dist/entry. */
const guardFile = fileURLToPath(new URL('../../dist/entry/guard.js', import.meta.url));

/** A loaded machine takes seconds to start a Node. */
const startMs = 20_000;
const endMs = 5000;
/** The guard has limits of its own, and closes the inspector before it answers. */
const askMs = beginMs + answerMs + startMs;

/** A guard process of this command, which signals, asks and closes; it may outlive the command. */
export class Guard {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  /** No inspector is open that the guard's signal opened. */
  #isClosed = true;
  #isEntered = false;

  private constructor(child: ChildProcess, output: NodeJS.ReadableStream) {
    this.#child = child;
    this.#answers = createInterface({ input: output })[Symbol.asyncIterator]();
  }

  /** @throws MemdriftError ERR_SYSTEM, ERR_TIMEOUT: without a guard nothing is signalled. */
  static async start(): Promise<Guard> {
    const child = spawn(process.execPath, [guardFile], {
      // A session of its own: signals of a terminal or to our process group do not reach it.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      env: ownEnvironment(),
    });
    const { stdin, stdout } = child;
    // A guard that cannot start ends its answers, which #expect() reports.
    child.on('error', () => stdout?.destroy());
    stdin?.on('error', () => {});
    const guard = new Guard(child, stdout as NodeJS.ReadableStream);
    try {
      await guard.#expect('ready', startMs);
      return guard;
    } catch (error) {
      guard.#leave();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /**
   * Has the guard ask the inspector, and close it where its signal opened it.
   * @throws MemdriftError as ask().
   */
  async ask(order: AskOrder): Promise<unknown> {
    this.#isClosed = !order.isOurs;
    this.#tell(order);
    const { value, isClosed } = await this.#expect('answered', askMs, order.inspector.pid);
    this.#isClosed = isClosed;
    return value;
  }

  /** Returns whether ask() has entered the inspector, so that the expression may have begun. */
  get isEntered(): boolean {
    return this.#isEntered;
  }

  /** Has the guard signal the process. @throws MemdriftError as sendDebugSignal(). */
  async signal(order: Extract<GuardOrder, { do: 'signal' }>): Promise<void> {
    this.#isClosed = false;
    this.#tell(order);
    await this.#expect('signalled', startMs, order.target.identity.pid);
  }

  #tell(order: GuardOrder): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** Ends the guard; where an inspector is still to be closed it continues without us. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'exit', { signal: AbortSignal.timeout(endMs) });
    ended.catch(() => {});
    if (this.#isClosed && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#tell({ do: 'closed' });
      this.#child.stdin?.end();
      await ended.catch(() => {});
    }
    this.#leave();
  }

  #leave(): void {
    this.#child.stdin?.end();
    this.#child.stdout?.destroy();
    this.#child.unref();
  }

  async #expect<Is extends GuardAnswer['is']>(
    what: Is,
    timeoutMs: number,
    pid?: number,
  ): Promise<Extract<GuardAnswer, { readonly is: Is }>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const waited = `the guard process did not answer within ${timeoutMs / 1000} s`;
      const error = new MemdriftError(
        'ERR_TIMEOUT',
        `${waited}; try again on a less loaded machine`,
      );
      timer = setTimeout(() => reject(error), timeoutMs);
    });
    try {
      const { value, done } = await Promise.race([this.#answers.next(), late]);
      if (done)
        throw new MemdriftError(
          'ERR_SYSTEM',
          'the guard process ended; check ulimit -u and memory',
        );
      const answer = JSON.parse(value) as GuardAnswer;
      if (answer.is === 'refused') {
        ({ isClosed: this.#isClosed, isEntered: this.#isEntered } = answer);
        throw new MemdriftError(answer.code, answer.message, { pid });
      }
      if (answer.is !== what) throw new MemdriftError('ERR_SYSTEM', 'the guard is out of step');
      return answer as Extract<GuardAnswer, { readonly is: Is }>;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Returns our environment without variables that load code into the guard or connect it to our
 * parent.
 */
function ownEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(
    ([name]) => !/^(NODE_|MEMDRIFT_TRACK$|VITEST)/.test(name),
  );
  return Object.fromEntries(others);
}
