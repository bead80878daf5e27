/**
 * The life of a child process of a run, server or client: it waits for its setup, works, says how
 * it ended, and never outlives main.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { Flag } from '../shm/flag.ts';
import { Segment } from '../shm/segment.ts';
import { Store } from '../shm/store.ts';
import type { Tracker } from '../tracker/tracker.ts';
import { trackThisProcess } from './captures.ts';
import type { ChildSetup, ToChild, ToMain } from './messages.ts';
import { OwnMemoryFollower } from './own_memory.ts';

/** How often a child tells main about its memory, so that a killed one has left something. */
const memoryReportMs = 200;

/** What a role gets to work with. */
export interface ChildContext {
  readonly setup: ChildSetup;
  readonly store: Store;
  /** Aborted when main is gone or says so; every wait of a role ends with it. */
  readonly signal: AbortSignal;
  send(message: ToMain): void;
  /** Resolves at main's next message of this type. */
  next(type: ToChild['type']): Promise<void>;
  /** Runs `answer` at each message of this type. */
  on(type: ToChild['type'], answer: () => void): void;
  /** Posts the flag that main waits on. */
  postFlag(): void;
  /** Bytes of the store's views that are attached; transfer.ts keeps it. */
  viewBytes: number;
  /** Arrays that this process checked and found right; transfer.ts keeps it. */
  arraysChecked: number;
}

/** What a role does between its setup and its end. */
export type RoleBody = (context: ChildContext) => Promise<void>;

/** The entry point of a child process; returns at once, the process ends when the role does. */
export function runChild(body: RoleBody): void {
  const channel = new MainChannel();
  // A terminal sends its signal to the whole group, but main decides how a run ends: the child's
  // part is to wait for main's word, or for main's end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => channel.abort(new MemdriftError('ERR_INTERRUPTED', 'SIGTERM')));
  const setup = new Promise<ChildSetup>((resolve) => {
    channel.on('setup', (message) => resolve(message as ChildSetup));
  });
  // Main may die before it has said what to do: there is nothing to end then, and nobody to ask.
  void Promise.race([setup, channel.aborted])
    .then((first) => (first === 'aborted' ? 1 : live(first, channel, body)))
    .then(async (exitCode) => {
      if (channel.isOrphan) await sweepAfterMain();
      process.exit(exitCode);
    });
}

/** Ours until main is gone for good; another's if it was gone before this process ran. */
const parentAtStart = process.ppid;
const maxWaitForParentMs = 1000;

/**
 * Main is gone, and it may have been the only one that was attached to the store: then there is no
 * last one out to remove it, unless who is left looks. The kernel closes our channel before it lets
 * go of main's segments, so look when it has found this process another parent, which comes after
 * both. A failure is left to the next start.
 */
async function sweepAfterMain(): Promise<void> {
  const deadline = performance.now() + maxWaitForParentMs;
  while (process.ppid === parentAtStart && parentAtStart !== 1 && performance.now() < deadline) {
    await sleep(5);
  }
  try {
    Segment.sweep();
  } catch {
    // The next start sweeps too.
  }
}

async function live(setup: ChildSetup, channel: MainChannel, body: RoleBody): Promise<number> {
  let tracker: Tracker | null = null;
  try {
    if (setup.captureDir !== null) {
      const role = setup.role === 'server' ? 'server' : `client-${setup.index}`;
      tracker = trackThisProcess(setup.captureDir, role);
    }
    const store = await Store.open(setup.storeName, {
      trim: setup.trim,
      label: setup.role === 'server' ? 'Server' : `Client ${setup.index}`,
    });
    const context = makeContext(setup, store, channel);
    const follower = new OwnMemoryFollower({
      intervalMs: setup.sampleIntervalMs,
      externalViewBytes: () => (context.store.viewsAreExternal ? context.viewBytes : 0),
    });
    const report = () => ({ memory: follower.report(), arraysChecked: context.arraysChecked });
    sendRegularly(() => channel.send({ type: 'memory', ...report() }));
    // A role may wait for what knows nothing of the run's end, or begin to wait after it.
    await Promise.race([
      body(context),
      channel.aborted.then(() => channel.signal.throwIfAborted()),
    ]);
    channel.send({ type: 'finished', ...report() });
    await channel.next('finish');
    store.close();
    return 0;
  } catch (error) {
    // The store is left to the exit, which waits for the pool: some of it may be in an array.
    return describeEnd(error, channel);
  } finally {
    tracker?.[Symbol.dispose]();
    await channel.flushed();
  }
}

function makeContext(setup: ChildSetup, store: Store, channel: MainChannel): ChildContext {
  return {
    setup,
    store,
    signal: channel.signal,
    viewBytes: 0,
    arraysChecked: 0,
    send: (message) => channel.send(message),
    next: (type) => channel.next(type),
    on: (type, answer) => channel.on(type, answer),
    postFlag: () => {
      const flag = Flag.open(setup.flagName);
      flag.post();
      flag.close();
    },
  };
}

function sendRegularly(send: () => void): void {
  send();
  setInterval(send, memoryReportMs).unref();
}

function describeEnd(error: unknown, channel: MainChannel): number {
  if (channel.signal.aborted) return 1;
  const code = isMemdriftError(error) ? error.code : 'ERR_SYSTEM';
  const message = error instanceof Error ? error.message : String(error);
  channel.send({ type: 'failed', code, message });
  return 1;
}

/** The IPC channel to main; its end is the end of this process's work. */
class MainChannel {
  readonly #abort = new AbortController();
  readonly #answers = new Map<string, (message: ToChild) => void>();
  /** Messages that came before anybody asked: main does not wait for a child to be ready. */
  readonly #early = new Map<string, ToChild>();
  #pendingSends = 0;

  constructor() {
    // Every connection and every wait listens; their number is the run's, not a leak.
    setMaxListeners(0, this.signal);
    process.on('message', (message: ToChild) => this.#receive(message));
    const orphaned = () => this.abort(new MemdriftError('ERR_DIED', 'main is gone'));
    process.on('disconnect', orphaned);
    if (!process.connected) orphaned();
  }

  /** Resolves when the run is over for this process, whatever it is doing. */
  get aborted(): Promise<'aborted'> {
    return new Promise((resolve) => {
      const end = () => resolve('aborted');
      if (this.signal.aborted) end();
      else this.signal.addEventListener('abort', end, { once: true });
    });
  }

  /** True once main is gone. */
  get isOrphan(): boolean {
    return !process.connected;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(reason: MemdriftError): void {
    this.#abort.abort(reason);
  }

  send(message: ToMain): void {
    if (!process.connected) return;
    this.#pendingSends++;
    // An error here means that main is gone, which 'disconnect' tells as well.
    process.send?.(message, () => this.#pendingSends--);
  }

  on(type: ToChild['type'], answer: (message: ToChild) => void): void {
    this.#answers.set(type, answer);
    const early = this.#early.get(type);
    this.#early.delete(type);
    if (early) answer(early);
  }

  next(type: ToChild['type']): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason as MemdriftError);
      this.signal.addEventListener('abort', () => reject(this.signal.reason as MemdriftError), {
        once: true,
      });
      this.on(type, () => resolve());
    });
  }

  /** Resolves when what was sent has left this process, or main is gone. */
  async flushed(): Promise<void> {
    while (this.#pendingSends > 0 && process.connected) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #receive(message: ToChild): void {
    if (message.type === 'abort') {
      this.abort(new MemdriftError('ERR_INTERRUPTED', 'main said so'));
      return;
    }
    const answer = this.#answers.get(message.type);
    if (answer) answer(message);
    else this.#early.set(message.type, message);
  }
}
