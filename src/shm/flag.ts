// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** A binary semaphore that processes share, with a wait that blocks nobody's event loop. */
import { binding } from '../binding.ts';
import type { FlagHandle } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { checkName, checkTimeout, maxTimeoutMs } from './arguments.ts';

/**
 * An attachment to a flag, a segment of one page. `post` sets it, a wait that ends takes it: two
 * posts without a wait between them are one. Like a segment it lives as long as somebody is
 * attached.
 */
export class Flag {
  readonly name: string;
  #handle: FlagHandle | null;

  private constructor(name: string, handle: FlagHandle) {
    this.name = name;
    this.#handle = handle;
  }

  /** @throws MemdriftError ERR_INVALID, ERR_EXISTS, ERR_FULL. */
  static create(name: string): Flag {
    checkName('flag', name);
    return new Flag(name, binding().flagCreate(name));
  }

  /** @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED when the segment is no flag. */
  static open(name: string): Flag {
    checkName('flag', name);
    return new Flag(name, binding().flagOpen(name));
  }

  /** Sets the flag and wakes who waits, in any process; about a microsecond. */
  post(): void {
    binding().flagPost(this.#open());
  }

  /** Takes the flag if it is set; never waits. */
  tryWait(): boolean {
    return binding().flagTryWait(this.#open());
  }

  /**
   * Resolves true once the flag was taken, false after `timeoutMs`. Waits in the kernel, on one
   * thread per environment for all its flags; libuv's pool and the event loop stay free. Keeps the
   * process alive while it waits.
   * @throws MemdriftError ERR_CLOSED, also when the flag is closed meanwhile; ERR_INVALID.
   */
  async wait(timeoutMs: number = maxTimeoutMs): Promise<boolean> {
    checkTimeout(timeoutMs);
    const handle = this.#open();
    return this.tryWait() || binding().flagWait(handle, Math.min(timeoutMs, maxTimeoutMs));
  }

  /** Detaches; may be called again. */
  close(): void {
    if (this.#handle !== null) binding().flagClose(this.#handle);
    this.#handle = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): FlagHandle {
    if (this.#handle !== null) return this.#handle;
    throw new MemdriftError(
      'ERR_CLOSED',
      `flag ${this.name} was closed; open it again with Flag.open`,
      { name: this.name },
    );
  }
}
