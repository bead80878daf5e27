// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** References to objects of a store that go from one process to another, in order. */
import { MemdriftError } from '../errors.ts';
import { checkName } from './arguments.ts';
import { ChannelReceiver } from './channel_receiver.ts';
import { ChannelSender, type SendOptions } from './channel_sender.ts';
import type { ChannelData, ChannelStore } from './channel_store.ts';
import type { ChannelWaitOptions } from './channel_waiter.ts';

export interface ChannelOptions {
  /**
   * So many messages of a sender may be sent and not yet received. Both ends have their limit, and
   * the lower one counts. 1 to 65,536, the objects that a store can have; default 16.
   */
  readonly highWaterMark?: number;
  /**
   * How many senders the receiver waits for. It admits this many; a later one gets ERR_CLOSED. When
   * all of them have closed or died, receive() gives null and `for await` ends. A sender that is
   * made again, or restarted, counts again. Without it senders come and go until the receiver's
   * close().
   */
  readonly senders?: number;
}

const maxCount = 65_536;

/**
 * One end of a channel: many senders, in whatever processes and workers that are attached to the
 * store, and one receiver. By its first use it becomes a sender (`send`) or the receiver
 * (`receive`, `for await`).
 *
 * Ids go through a Unix socket in a folder of this user, the bytes stay where they are. Both ends
 * must see the same XDG_RUNTIME_DIR or TMPDIR. A call that waits keeps the process alive, an idle
 * channel does not.
 *
 * Nothing leaks, whoever dies: the bytes of a message are an object that is deleted from the start
 * and lives as long as the sender, then the receiver, holds it.
 */
export class Channel<Received extends Disposable> implements AsyncIterable<Received> {
  readonly name: string;
  readonly #store: ChannelStore<Received>;
  readonly #highWaterMark: number;
  readonly #senders: number | null;
  #end: ChannelSender | ChannelReceiver<Received> | null = null;
  #isClosed = false;

  /** `store.channel(name)` makes one. @throws MemdriftError ERR_INVALID. */
  constructor(store: ChannelStore<Received>, name: string, options: ChannelOptions) {
    checkName('channel', name);
    const { highWaterMark = 16, senders } = options;
    checkCount('highWaterMark', highWaterMark);
    if (senders !== undefined) checkCount('senders', senders);
    this.#store = store;
    this.name = name;
    this.#highWaterMark = highWaterMark;
    this.#senders = senders ?? null;
  }

  /**
   * Sends a view (which is copied as by put(), element type and shape with it, and must not change
   * until then), a StoreProducer (which is sealed, without a copy) or an object that exists already
   * (which stays what it is, and may be deleted right after the call). Resolves when it was sent,
   * in the order of the calls: it waits for a first receiver, and while `highWaterMark` messages of
   * this sender were not received. Takes a few microseconds where it does not wait, and the copy:
   * up to 64 KiB on the event loop, beyond that on the pool. Only close() reports that messages
   * were received.
   *
   * It waits at most a second for a receiver that cannot come: after the last one has ended, or,
   * before the first one, after the attachment that made the store has ended. A later receiver
   * admits later senders: make the channel again.
   * @throws MemdriftError ERR_CLOSED (either end was closed, or the store by its maker, or the
   * receiver has had all its senders), ERR_GONE (the receiver, or the store's maker, died; `lost`
   * of `details` says how many were sent and not received; or the object is gone), ERR_TIMEOUT,
   * ERR_STATE (this end receives; the producer was sealed already; as put()), ERR_INVALID,
   * ERR_MALFORMED (the listener is not a receiver), and as create(). With a `signal` its reason. A
   * message that was given up was not sent, and a producer is not sealed then.
   */
  async send(data: ChannelData, options: SendOptions = {}): Promise<void> {
    return this.#sender().send(data, options);
  }

  /**
   * Makes this end a sender and resolves when the receiver has admitted it: for a sender that may
   * have nothing to send, on which a receiver with `senders` would otherwise wait. send() does it
   * too.
   * @throws MemdriftError as send().
   */
  async connect(options: ChannelWaitOptions = {}): Promise<void> {
    return this.#sender().connect(options);
  }

  /**
   * Returns the next object, in each sender's order; release it like an object from get(). Returns
   * null when `senders` senders have ended, and after close(). Takes some microseconds.
   * @throws MemdriftError ERR_GONE when a sender died, once, after what it had sent was given: a
   * next call goes on with the others, or one that comes later; `lost` of `details` says how many
   * could not be given. ERR_EXISTS (there is a receiver), ERR_TIMEOUT, ERR_STATE (this end sends),
   * ERR_CLOSED (the store was closed), ERR_MALFORMED (it was no sender, and is disconnected),
   * ERR_CORRUPT. With a `signal` its reason.
   */
  async receive(options: ChannelWaitOptions = {}): Promise<Received | null> {
    return this.#receiver().receive(options);
  }

  /**
   * Ends when receive() gives null, throws when it throws. A `break` closes nothing: senders wait
   * until the iteration continues or the channel closes.
   */
  [Symbol.asyncIterator](): AsyncIterator<Received, undefined> {
    return { next: () => this.receive().then(toResult) };
  }

  /**
   * At a sender: resolves when all that was sent was received; the receiver knows then that this
   * sender is done. At the receiver: nothing more is received, what was not is released, and
   * senders get ERR_CLOSED, also those that come before the next receiver. May be called again.
   * @throws at a sender what ended the channel before all was received, unless a send() has thrown
   * that; MemdriftError ERR_TIMEOUT, or the signal's reason: what was not received is lost then.
   */
  async close(options: ChannelWaitOptions = {}): Promise<void> {
    this.#isClosed = true;
    return this.#end?.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sender(): ChannelSender {
    if (this.#end === null) {
      this.#throwIfClosed();
      this.#end = new ChannelSender(this.#store, this.#options());
    }
    if (this.#end instanceof ChannelSender) return this.#end;
    throw this.#otherEnd('receives, and cannot send');
  }

  #receiver(): ChannelReceiver<Received> {
    if (this.#end === null) {
      this.#throwIfClosed();
      this.#end = new ChannelReceiver(this.#store, { ...this.#options(), senders: this.#senders });
    }
    if (this.#end instanceof ChannelReceiver) return this.#end;
    throw this.#otherEnd('sends, and cannot receive');
  }

  #options(): { name: string; highWaterMark: number } {
    return { name: this.name, highWaterMark: this.#highWaterMark };
  }

  #throwIfClosed(): void {
    if (!this.#isClosed) return;
    throw new MemdriftError(
      'ERR_CLOSED',
      `channel ${this.name} was closed before it was used; make it again with store.channel`,
      { channel: this.name },
    );
  }

  #otherEnd(what: string): MemdriftError {
    return new MemdriftError(
      'ERR_STATE',
      `this end of channel ${this.name} ${what}: make another one with store.channel`,
      { channel: this.name },
    );
  }
}

function checkCount(what: string, count: unknown): void {
  const isWhole = Number.isInteger(count);
  if (isWhole && (count as number) >= 1 && (count as number) <= maxCount) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `${what} is ${String(count)}: use a whole number from 1 to ${maxCount}`,
    { [what]: count },
  );
}

function toResult<Received>(object: Received | null): IteratorResult<Received, undefined> {
  return object === null ? { done: true, value: undefined } : { done: false, value: object };
}
