/** A promise that its owner settles, or the caller's signal, or the caller's time. */
import { MemdriftError } from '../errors.ts';
import { checkTimeout, maxTimeoutMs } from './arguments.ts';

export interface ChannelWaitOptions {
  /** Its `reason` is what the call rejects with when it is aborted. */
  readonly signal?: AbortSignal;
  /** The call rejects with ERR_TIMEOUT after so long. */
  readonly timeoutMs?: number;
}

export class ChannelWaiter<Value> {
  readonly promise: Promise<Value>;
  #resolve!: (value: Value) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #signal: AbortSignal | null = null;
  #giveUp: (error: unknown) => void;

  /**
   * `giveUp` is called when the signal or the time ends the wait; the promise is rejected then.
   * @throws MemdriftError ERR_INVALID; the signal's reason when it is aborted already.
   */
  constructor(options: ChannelWaitOptions, what: string, giveUp: () => void) {
    const { signal, timeoutMs } = options;
    if (timeoutMs !== undefined) checkTimeout(timeoutMs);
    signal?.throwIfAborted();
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#giveUp = (error) => {
      giveUp();
      this.reject(error);
    };
    if (signal !== undefined) {
      this.#signal = signal;
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    if (timeoutMs !== undefined && timeoutMs <= maxTimeoutMs) {
      this.#timer = setTimeout(() => this.#giveUp(late(what, timeoutMs)), timeoutMs);
    }
  }

  resolve(value: Value): void {
    this.#stop();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#stop();
    this.#reject(error);
  }

  readonly #onAbort = (): void => this.#giveUp(this.#signal?.reason);

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

function late(what: string, timeoutMs: number): MemdriftError {
  return new MemdriftError('ERR_TIMEOUT', `${what} within ${timeoutMs} ms`, { timeoutMs });
}
