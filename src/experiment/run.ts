/**
 * One run of the experiment, as main drives it: it owns the store, the flag and the sampler, starts
 * the server and the clients, waits on the flag, and reports, however the run ended.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { Sampler } from '../proc/sampler.ts';
import { Flag } from '../shm/flag.ts';
import { Store } from '../shm/store.ts';
import { socketPathFor, sweepSockets } from '../socket_folder.ts';
import { Captures } from './captures.ts';
import { Child } from './children.ts';
import { Failure } from './failure.ts';
import { makeFolders } from './folders.ts';
import type { ChildSetup, Moment, ServerStatus, ToMain } from './messages.ts';
import type { ExperimentOptions } from './options.ts';
import { OwnMemoryFollower } from './own_memory.ts';
import { Recorder } from './recorder.ts';
import { buildReport } from './report_builder.ts';
import type { ExperimentProgress, ExperimentReport, Look } from './report_model.ts';

export interface RunHooks {
  onProgress?(progress: ExperimentProgress): void;
  /** Ends the run early; its `reason` is the error of the report. */
  readonly signal?: AbortSignal;
}

/**
 * After a first sign of failure, how long to wait for a better one: when a client is killed, the
 * server's complaint about the lost connection may arrive before the kernel's word of the death.
 */
const blameMs = 200;

/**
 * Runs the experiment and reports what it found. Resolves also when a process died, an array was
 * wrong, the time was over or `hooks.signal` was aborted: `completed` is then false and `error`
 * says why. Nothing is left in /dev/shm or the socket's folder, and no process, whatever happened.
 * @throws MemdriftError for what stands in the way of a start: no room for the store, no native
 * part.
 */
export async function runExperiment(
  options: ExperimentOptions,
  hooks: RunHooks = {},
): Promise<ExperimentReport> {
  const run = await Run.prepare(options, hooks);
  try {
    await run.work();
  } catch (error) {
    await run.abort(error);
  }
  return run.report();
}

class Run {
  readonly #options: ExperimentOptions;
  readonly #hooks: RunHooks;
  readonly #startedAt = performance.now();
  readonly #name: string;
  readonly #socketPath: string;
  readonly #store: Store;
  readonly #flag: Flag;
  readonly #sampler: Sampler;
  readonly #recorder: Recorder;
  readonly #captures: Captures;
  readonly #own: OwnMemoryFollower;
  readonly #children: Child[] = [];
  /** Rejects at the first thing that ends the run early; never resolves. */
  readonly #failure = new Failure();
  #status: ServerStatus = { roundsDone: 0, arraysInFlight: 0, roundsByClient: [] };
  readonly #looks: Look[] = [];
  #holding = 0;
  #error: MemdriftError | null = null;

  static async prepare(options: ExperimentOptions, hooks: RunHooks): Promise<Run> {
    const name = `run-${process.pid}-${randomBytes(4).toString('hex')}`;
    makeFolders(options.tmpDir);
    const captures = Captures.begin(options.captureDir);
    await sweepSockets();
    const flag = Flag.create(flagNameOf(name));
    let store: Store | null = null;
    try {
      store = await Run.#createStore(name, options);
      return new Run({ options, hooks, name, store, flag, captures });
    } catch (error) {
      captures.end();
      store?.close();
      flag.close();
      throw error;
    }
  }

  static #createStore(name: string, options: ExperimentOptions): Promise<Store> {
    return Store.create({
      name,
      capacityBytes: options.storeBytes,
      placement: options.placement,
      trim: options.trim,
      sites: true,
      label: 'Main',
    });
  }

  private constructor(parts: {
    options: ExperimentOptions;
    hooks: RunHooks;
    name: string;
    store: Store;
    flag: Flag;
    captures: Captures;
  }) {
    this.#options = parts.options;
    this.#captures = parts.captures;
    this.#hooks = parts.hooks;
    this.#name = parts.name;
    this.#store = parts.store;
    this.#socketPath = socketPathFor(parts.name);
    this.#flag = parts.flag;
    this.#sampler = new Sampler({
      pids: [process.pid],
      intervalMs: parts.options.sampleIntervalMs,
      budgetPercent: parts.options.observerBudgetPercent,
      segments: [parts.store.path],
    });
    this.#recorder = new Recorder({
      tmpDir: parts.options.tmpDir,
      captureDir: parts.captures.folder,
      store: parts.store,
      sampler: this.#sampler,
    });
    this.#own = new OwnMemoryFollower({
      intervalMs: parts.options.sampleIntervalMs,
      externalViewBytes: () => 0,
    });
  }

  /** Starts everything and waits for the end; throws what ended the run early. */
  async work(): Promise<void> {
    const { signal } = this.#hooks;
    const onAbort = () => this.#failure.fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const timeout = setTimeout(() => this.#failTimeout(), this.#options.timeoutMs);
    const poll = setInterval(() => this.#poll(), this.#options.pollIntervalMs);
    try {
      this.#startChildren();
      await this.#failure.orElse(this.#waitForFlag());
      await this.#failure.orElse(this.#waitForFinished());
      await this.#failure.orElse(Promise.all(this.#children.map((child) => child.end('finish'))));
    } finally {
      clearTimeout(timeout);
      clearInterval(poll);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends what still runs; `error` is kept for the report, or a better one that follows it. */
  async abort(error: unknown): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, blameMs));
    this.#error = asError(this.#blame(error));
    await Promise.all(this.#children.map((child) => child.end('abort')));
  }

  async report(): Promise<ExperimentReport> {
    const wallMs = performance.now() - this.#startedAt;
    const observed = await this.#sampler.stop();
    const recorded = await this.#recorder.stop();
    const ownMemory = this.#own.report();
    this.#own.stop();
    this.#captures.end();
    this.#flag.close();
    this.#store.close();
    rmSync(this.#socketPath, { force: true });
    return buildReport({
      options: this.#options,
      error: this.#error,
      wallMs,
      roundsDone: this.#status.roundsDone,
      ownMemory,
      children: this.#children,
      observed,
      recorded,
      looks: this.#looks,
      captureDir: this.#captures.folder,
    });
  }

  #startChildren(): void {
    const events = {
      onMessage: (child: Child, message: ToMain) => this.#receive(child, message),
      onDeath: (_child: Child, error: MemdriftError) => this.#failure.fail(error),
    };
    const start = (role: 'server' | 'client', index: number) => {
      const child = new Child(this.#setupOf(role, index), events);
      this.#children.push(child);
      this.#sampler.add(child.pid);
    };
    start('server', 0);
    for (let client = 0; client < this.#options.clients; client++) start('client', client);
  }

  #setupOf(role: 'server' | 'client', index: number): ChildSetup {
    const { clients, rounds, arraySizeBytes, workMs, trim, sampleIntervalMs } = this.#options;
    return {
      type: 'setup',
      role,
      index,
      clients,
      rounds,
      arraySizeBytes,
      workMs,
      trim,
      sampleIntervalMs,
      storeName: this.#name,
      flagName: flagNameOf(this.#name),
      socketPath: this.#socketPath,
      captureDir: index === 0 ? this.#captures.folder : null,
    };
  }

  #receive(child: Child, message: ToMain): void {
    switch (message.type) {
      case 'listening':
        for (const other of this.#children) other.send({ type: 'connect' });
        return;
      case 'holding':
        this.#holding++;
        if (this.#holding === this.#options.clients) this.#look('first wave');
        return;
      case 'moment':
        this.#look(message.moment).then(() => {
          // The one moment that the server waits at; a word too many would let the next one pass.
          if (message.moment === 'last release') child.send({ type: 'proceed' });
        });
        return;
      case 'status':
        this.#status = message.status;
        this.#showProgress();
        return;
      case 'memory':
        child.memory = message.memory;
        child.arraysChecked = message.arraysChecked;
        return;
      case 'failed':
        child.failure = new MemdriftError(message.code, `${child.label}: ${message.message}`);
        this.#failure.fail(child.failure);
        return;
      case 'finished':
        child.memory = message.memory;
        child.arraysChecked = message.arraysChecked;
        child.finished = true;
        this.#failure.recheck();
    }
  }

  /** A full look of the sampler, whatever its budget. */
  async #look(moment: Moment): Promise<void> {
    try {
      const { atMs, processes, footprintBytes, sumRssBytes } = await this.#sampler.pass(moment);
      const seen = processes.length;
      this.#looks.push({ moment, atMs, processes: seen, footprintBytes, sumRssBytes });
    } catch {
      // The run was ended meanwhile; the report then shows that this look is missing.
    }
  }

  async #waitForFlag(): Promise<void> {
    const posted = await this.#flag.wait(this.#options.timeoutMs);
    if (!posted) this.#failTimeout();
    this.#poll();
  }

  async #waitForFinished(): Promise<void> {
    await this.#failure.until(() => this.#children.every((child) => child.finished));
  }

  #poll(): void {
    this.#children[0]?.send({ type: 'status' });
  }

  #showProgress(): void {
    const { clients, rounds } = this.#options;
    this.#hooks.onProgress?.({
      roundsDone: this.#status.roundsDone,
      roundsTotal: clients * rounds,
      arraysInFlight: this.#status.arraysInFlight,
      footprintBytes: this.#recorder.footprintBytes,
      elapsedMs: performance.now() - this.#startedAt,
    });
  }

  #failTimeout(): void {
    const { clients, rounds, timeoutMs } = this.#options;
    const byClient = this.#status.roundsByClient;
    const slowest = byClient.indexOf(Math.min(...byClient));
    const behind =
      slowest < 0 ? 'no client is through a round yet' : `Client ${slowest} is furthest behind`;
    this.#failure.fail(
      new MemdriftError(
        'ERR_TIMEOUT',
        `the run was not done after ${timeoutMs / 1000} s: ${this.#status.roundsDone} of ` +
          `${clients * rounds} rounds, ${behind}; raise --timeout or lower --rounds`,
      ),
    );
  }

  /**
   * Which error names the cause. A signal to main stands above all; a process that died without a
   * word is the cause of what the others complain about, and lost contact never is one.
   */
  #blame(first: unknown): unknown {
    if (isMemdriftError(first, 'ERR_INTERRUPTED') || isMemdriftError(first, 'ERR_TIMEOUT'))
      return first;
    if (this.#hooks.signal?.aborted) return this.#hooks.signal.reason;
    const silent = this.#failure.all.find((error) => isMemdriftError(error, 'ERR_DIED'));
    const said = this.#failure.all.find((error) => !isMemdriftError(error, 'ERR_GONE'));
    return silent ?? said ?? first;
  }
}

function flagNameOf(runName: string): string {
  return `${runName}.flag`;
}

function asError(error: unknown): MemdriftError {
  if (isMemdriftError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MemdriftError('ERR_SYSTEM', message, { cause: error });
}
