/**
 * The entry of the guard: a process in a session of its own that signals the target, and outlives
 * whoever asked for it by SIGKILL, Ctrl-C or a timeout, until the inspector is closed again.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError } from '../errors.ts';
import { closingOf } from './closing.ts';
import { sendDebugSignal } from './debug_signal.ts';
import type { GuardAnswer, GuardOrder } from './guard_model.ts';
import { newInspector } from './inspector_finder.ts';
import { type Inspector, InspectorSession } from './inspector_session.ts';
import { hasDebugger, listenersOf } from './listeners.ts';
import { isIdle } from './main_thread.ts';
import type { DebugTarget } from './node_proof.ts';
import { checkSame } from './process_identity.ts';

/** The main thread may run again at once, or in hours. */
const pause = { firstMs: 50, laterMs: 1000, untilMs: 10_000 };
/** For so long a process must be idle, or its inspector closed, for the signal to be consumed. */
const settledMs = 1500;
/** So many looks in a row must find a debugger. */
const looksAtDebugger = 5;
/** How long to wait for a main thread of which nothing can be read. */
const blindMs = 600_000;
/** As long as the main thread is blocked: the longest that a timer takes. */
const foreverMs = 2 ** 31 - 1;

class Watch {
  readonly #target: DebugTarget;
  readonly #known: readonly string[];
  readonly #begin = performance.now();
  #settledSince = Number.POSITIVE_INFINITY;
  #looksAtDebugger = 0;
  inspector: Inspector | null = null;
  isScheduled = false;

  constructor(target: DebugTarget, known: readonly string[]) {
    this.#target = target;
    this.#known = known;
  }

  /** Until the inspector is closed, the process has ended, or it consumed the signal otherwise. */
  async untilClosed(): Promise<void> {
    while (this.#isAlive() && !(await this.#isDone())) {
      const isEarly = performance.now() - this.#begin < pause.untilMs;
      await sleep(isEarly ? pause.firstMs : pause.laterMs);
    }
  }

  async #isDone(): Promise<boolean> {
    const { pid } = this.#target.identity;
    if (!this.#isOpen()) {
      const found = await newInspector(pid, this.#known);
      if (found === null) return this.#isSettled();
      [this.inspector, this.isScheduled] = [found, false];
    }
    this.#settledSince = Number.POSITIVE_INFINITY;
    if (!this.isScheduled) this.isScheduled = await this.#scheduleClosing();
    if (!this.isScheduled || this.inspector === null) return false;
    // The process itself closes it once the debugger has left. Our own connection may be there for
    // another moment.
    const isUsed = hasDebugger(pid, this.inspector.listener, null);
    this.#looksAtDebugger = isUsed ? this.#looksAtDebugger + 1 : 0;
    return this.#looksAtDebugger === looksAtDebugger;
  }

  #isOpen(): boolean {
    const inode = this.inspector?.listener.inode;
    return listenersOf(this.#target.identity.pid).some((one) => one.inode === inode);
  }

  #isSettled(): boolean {
    const now = performance.now();
    const { identity, addresses } = this.#target;
    const isQuiet = this.inspector !== null || isIdle(identity.pid, addresses);
    if (isQuiet === null) return now - this.#begin > blindMs;
    this.#settledSince = isQuiet ? Math.min(this.#settledSince, now) : Number.POSITIVE_INFINITY;
    return now - this.#settledSince > settledMs;
  }

  async #scheduleClosing(): Promise<boolean> {
    if (this.inspector === null) return false;
    try {
      const session = await InspectorSession.open(this.inspector);
      try {
        const { expression } = closingOf(this.inspector.listener);
        return (await session.evaluate({ expression, timeoutMs: foreverMs })) === true;
      } finally {
        session.end();
      }
    } catch {
      return false; // It closed meanwhile, or is another one by now: the next look tells.
    }
  }

  #isAlive(): boolean {
    try {
      checkSame(this.#target.identity);
      return true;
    } catch {
      return false;
    }
  }
}

function answer(line: GuardAnswer): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function signal(target: DebugTarget): void {
  try {
    sendDebugSignal(target);
    answer({ is: 'signalled' });
  } catch (error) {
    const { message } = error as Error;
    const code = isMemdriftError(error) ? error.code : 'ERR_SYSTEM';
    answer({ is: 'refused', code, message });
  }
}

async function serve(): Promise<void> {
  // Whoever asked may be gone when it is answered.
  process.stdout.on('error', () => {});
  process.title = 'memdrift-guard';
  let watch: Watch | null = null;
  answer({ is: 'ready' });
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as GuardOrder;
    if (order.do === 'signal') {
      watch = new Watch(order.target, order.known);
      signal(order.target);
    } else if (order.do === 'opened' && watch !== null) watch.inspector = order.inspector;
    else if (order.do === 'scheduled' && watch !== null) watch.isScheduled = true;
    else if (order.do === 'closed') watch = null;
  }
  await watch?.untilClosed();
}

await serve();
process.exit();
