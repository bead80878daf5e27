/**
 * The entry of the guard: a process in a session of its own that signals the target and asks its
 * inspector. It outlives a parent that ends by SIGKILL, Ctrl-C or a timeout, until the inspector is
 * closed again.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError } from '../errors.ts';
import { ask, closed } from './asking.ts';
import { closeAtOnce, isOpen, isUsed, scheduleClosing } from './closing.ts';
import { sendDebugSignal } from './debug_signal.ts';
import type { AskOrder, GuardAnswer, GuardOrder } from './guard_model.ts';
import { newInspector } from './inspector_finder.ts';
import { type Inspector, InspectorSession } from './inspector_session.ts';
import { hasTurned, type LoopState, loopState } from './main_thread.ts';
import type { DebugTarget } from './node_proof.ts';
import { checkSame } from './process_identity.ts';

/** The main thread may run again at once, or in hours. */
const pause = { firstMs: 50, laterMs: 1000, untilMs: 10_000 };
/** How long an inspector may take to listen after the event loop has handled the signal. */
const settledMs = 1500;
/** This many looks in a row must find a debugger. */
const usedLooks = 5;
/** How long the loop may take to turn before JavaScript that runs meanwhile is interrupted. */
const turnsMs = 2000;
/** Each try is a line on the process's stderr. */
const mostClosings = 3;
/** How long to wait for a process in which it cannot be read whether it has handled the signal. */
const blindMs = 600_000;
/** The longest timeout of a timer, for a main thread that may be blocked for hours. */
const foreverMs = 2 ** 31 - 1;

class Watch {
  readonly #target: DebugTarget;
  readonly #known: readonly string[];
  #begin = performance.now();
  #handledSince = Number.POSITIVE_INFINITY;
  #before: LoopState | null = null;
  #readAt = performance.now();
  #usedLooks = 0;
  #closeAfter = performance.now() + turnsMs;
  #closings = mostClosings;
  inspector: Inspector | null = null;
  #isScheduled = false;

  constructor(target: DebugTarget, known: readonly string[]) {
    this.#target = target;
    this.#known = known;
  }

  /** Says that the process closes this inspector itself when its loop turns. */
  scheduled(): void {
    this.#isScheduled = true;
  }

  /**
   * Resolves when no inspector is open and the process has handled the signal, so that Node opens
   * none again, or when the process has ended.
   */
  async untilClosed(): Promise<void> {
    while (this.#isAlive() && !(await this.#isDone())) {
      const isEarly = performance.now() - this.#begin < pause.untilMs;
      await sleep(isEarly ? pause.firstMs : pause.laterMs);
    }
  }

  async #isDone(): Promise<boolean> {
    const { pid } = this.#target.identity;
    if (this.inspector === null || !isOpen(this.inspector)) {
      const found = await newInspector(pid, this.#known);
      if (found === null) return this.#isSettled();
      [this.inspector, this.#isScheduled] = [found, false];
      this.#begin = performance.now();
    }
    this.#readAt = performance.now();
    [this.#handledSince, this.#before] = [Number.POSITIVE_INFINITY, null];
    if (!this.#isScheduled) await this.#schedule(this.inspector);
    return this.#isScheduled && this.#isLeftTo(this.inspector);
  }

  /**
   * Returns whether a debugger is connected: the process then closes the inspector when it has
   * left.
   */
  async #isLeftTo(inspector: Inspector): Promise<boolean> {
    // Our own connection may be in the kernel's list for another moment.
    this.#usedLooks = isUsed(inspector) ? this.#usedLooks + 1 : 0;
    if (this.#usedLooks > 0) return this.#usedLooks === usedLooks;
    if (performance.now() > this.#closeAfter && this.#closings-- > 0) {
      this.#closeAfter = performance.now() + turnsMs;
      await closeAtOnce(inspector);
    }
    return false;
  }

  #isSettled(): boolean {
    const now = performance.now();
    const state = loopState(this.#target.identity.pid, this.#target.addresses);
    if (state === null) return now - this.#readAt > blindMs;
    this.#readAt = now;
    const isHandled = this.#isHandled(state);
    if (isHandled) this.#handledSince = Math.min(this.#handledSince, now);
    return isHandled && now - this.#handledSince > settledMs;
  }

  /**
   * Returns whether the event loop has handled the signal: an inspector that an interrupt opened
   * and closed before opens again when it does.
   */
  #isHandled(state: LoopState): boolean {
    if (state.isHeld) return false;
    this.#before ??= state;
    return state.isPolling || hasTurned(this.#before, state);
  }

  async #schedule(inspector: Inspector): Promise<void> {
    try {
      const session = await InspectorSession.open(inspector);
      this.#isScheduled = await scheduleClosing(session, inspector, foreverMs);
      this.#closeAfter = performance.now() + turnsMs;
    } catch {
      // It closed meanwhile: the next look tells.
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

/** Makes `ps` say whose guard this is. */
function nameGuardOf(pid: number): void {
  process.title = `memdrift-guard ${pid}`;
}

interface Progress {
  isEntered: boolean;
  isClosed: boolean;
}

function refuse(error: unknown, progress: Progress): void {
  const { message } = error as Error;
  const code = isMemdriftError(error) ? error.code : 'ERR_SYSTEM';
  answer({ is: 'refused', code, message, ...progress });
}

/** The guard's work for its parent, an order at a time. */
class Service {
  readonly #orders = createInterface({ input: process.stdin });
  #watch: Watch | null = null;
  #isParentThere = true;

  constructor() {
    this.#orders.once('close', () => {
      this.#isParentThere = false;
    });
  }

  /** Resolves when the parent has ended, and no inspector is open that a signal opened. */
  async run(): Promise<void> {
    answer({ is: 'ready' });
    for await (const line of this.#orders) {
      const order = JSON.parse(line) as GuardOrder;
      if (order.do === 'signal') this.#signal(order);
      else if (order.do === 'ask') await this.#ask(order);
      else this.#watch = null;
    }
    await this.#watch?.untilClosed();
  }

  #signal({ target, known }: Extract<GuardOrder, { readonly do: 'signal' }>): void {
    nameGuardOf(target.identity.pid);
    this.#watch = new Watch(target, known);
    try {
      sendDebugSignal(target);
      answer({ is: 'signalled' });
    } catch (error) {
      refuse(error, { isEntered: false, isClosed: false });
    }
  }

  async #ask({ inspector, question, isOurs }: AskOrder): Promise<void> {
    nameGuardOf(inspector.pid);
    const watch = isOurs ? this.#watch : null;
    if (watch !== null) watch.inspector = inspector;
    const progress: Progress = { isEntered: false, isClosed: watch === null };
    try {
      const session = await InspectorSession.open(inspector);
      progress.isEntered = true;
      let value: unknown;
      try {
        value = await ask(session, question, () => this.#isParentThere);
      } finally {
        if (watch === null) session.end();
        else progress.isClosed = await closed(session, inspector, () => watch.scheduled());
      }
      answer({ is: 'answered', value, isClosed: progress.isClosed });
    } catch (error) {
      refuse(error, progress);
    }
  }
}

// The parent may have ended before it hears an answer.
process.stdout.on('error', () => {});
process.title = 'memdrift-guard';
await new Service().run();
process.exit();
