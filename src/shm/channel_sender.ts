/** The sending end of a channel. */
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { callSite } from './call_site.ts';
import { malformed } from './channel_frames.ts';
import { SenderLink } from './channel_link.ts';
import { ChannelPlace } from './channel_place.ts';
import {
  type ChannelData,
  type ChannelStore,
  idOf,
  type NewContent,
  storeClosed,
} from './channel_store.ts';
import { ChannelWaiter, type ChannelWaitOptions } from './channel_waiter.ts';

export interface SendOptions extends ChannelWaitOptions {
  /** For a view: see PutOptions. */
  readonly shape?: number | readonly number[];
}

/** Not where a program called: these files. */
const ownFiles = new URL('./channel', import.meta.url).href;

/** A send() that has to wait for the receiver. */
interface Message {
  readonly data: ChannelData;
  /** Content of the object to make; null for an object that exists. */
  readonly content: NewContent | null;
  /** The object, where there is a reference to it already. */
  held: number | Promise<number> | null;
  readonly waiter: ChannelWaiter<void>;
}

/**
 * Each object that was sent and not taken yet is held by this end. So it is there for the receiver
 * whatever becomes of it meanwhile; and when either end dies, what it held ends with it.
 */
export class ChannelSender {
  readonly #store: ChannelStore<unknown>;
  readonly #name: string;
  readonly #highWaterMark: number;
  readonly #link: SenderLink;
  readonly #onEnd: () => void;
  readonly #waiting = new Set<Message>();
  readonly #connecting = new Set<ChannelWaiter<void>>();
  /** Ids of what was sent and not taken yet, in order. */
  readonly #inFlight: number[] = [];
  #window = 0;
  /** Bytes of the first of `#waiting` are copied by the pool. */
  #isCopying = false;
  #hasSaidClose = false;
  #closing: ChannelWaiter<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** Whether a send() rejected for it, or need not. */
  #isFailureTold = false;
  #isEnded = false;

  constructor(store: ChannelStore<unknown>, options: { name: string; highWaterMark: number }) {
    this.#store = store;
    this.#name = options.name;
    this.#highWaterMark = options.highWaterMark;
    this.#onEnd = store.beforeClose(() => this.#onStoreCloses());
    const place = new ChannelPlace(store, options.name);
    this.#link = new SenderLink(place, {
      isWanted: () => this.#waiting.size > 0 || this.#connecting.size > 0,
      whyNoReceiver: () => store.whyNoReceiver(place.key),
      whyEnded: () => store.whyEnded(place.key),
      opened: (highWaterMark) => this.#onOpened(highWaterMark),
      taken: (count) => this.#onTaken(count),
      closed: () => this.#onFailed(new MemdriftError('ERR_CLOSED', 'was closed')),
      failed: (error) => this.#onFailed(error),
    });
  }

  /** Resolves when the receiver has admitted this sender. */
  connect(options: ChannelWaitOptions): Promise<void> {
    this.#throwIfEnded();
    const what = `no receiver of channel ${this.#name} came`;
    const waiter = new ChannelWaiter<void>(options, what, () => {
      this.#connecting.delete(waiter);
      this.#afterChange();
    });
    if (this.#link.isOpen) {
      waiter.resolve();
    } else {
      this.#connecting.add(waiter);
      this.#link.dial();
      this.#afterChange();
    }
    return waiter.promise;
  }

  send(data: ChannelData, options: SendOptions): Promise<void> {
    this.#throwIfEnded();
    const site = this.#store.withSites ? callSite(ownFiles) : '';
    const content = this.#store.contentOf(data, { site, shape: options.shape });
    const isPlain = options.signal === undefined && options.timeoutMs === undefined;
    // Nothing to wait for: no more than a frame.
    if (isPlain && this.#canSend && this.#waiting.size === 0) {
      const held = this.#store.hold(data, content);
      if (typeof held !== 'number') {
        return this.#enqueue(this.#message(data, content, options), held);
      }
      this.#sendNow(held);
      return Promise.resolve();
    }
    const message = this.#message(data, content, options);
    try {
      // What exists must not end while it waits, what is made now must not take room yet.
      const exists = !this.#store.isNew(data);
      return this.#enqueue(message, exists ? this.#store.holdExisting(idOf(data)) : null);
    } catch (error) {
      message.waiter.reject(error);
      return message.waiter.promise;
    }
  }

  /**
   * Resolves when all that was sent was taken. @throws what ended the channel before, unless
   * a send() has said so.
   */
  close(options: ChannelWaitOptions): Promise<void> {
    if (this.#failure !== null && !this.#isFailureTold) {
      this.#isFailureTold = true;
      throw this.#failure.error;
    }
    if (this.#isEnded) return Promise.resolve();
    if (this.#closing !== null) return this.#closing.promise;
    const what = `what was sent to channel ${this.#name} was not taken`;
    this.#closing = new ChannelWaiter<void>(options, what, () => this.#end());
    const { promise } = this.#closing;
    this.#afterChange();
    return promise;
  }

  #throwIfEnded(): void {
    if (this.#failure !== null) {
      this.#isFailureTold = true;
      throw this.#failure.error;
    }
    if (this.#closing !== null) throw closedHere(this.#name);
  }

  get #canSend(): boolean {
    return this.#link.isOpen && !this.#isCopying && this.#inFlight.length < this.#window;
  }

  #message(data: ChannelData, content: Message['content'], options: ChannelWaitOptions): Message {
    const what = `nobody took an earlier message of channel ${this.#name}, or received from it,`;
    const waiter = new ChannelWaiter<void>(options, what, () => this.#giveUp(message));
    const message: Message = { data, content, held: null, waiter };
    return message;
  }

  #enqueue(message: Message, held: Message['held']): Promise<void> {
    message.held = held;
    this.#waiting.add(message);
    this.#link.dial();
    this.#pump();
    return message.waiter.promise;
  }

  #giveUp(message: Message): void {
    this.#waiting.delete(message);
    if (typeof message.held === 'number') this.#store.letGo(message.held);
    this.#afterChange();
  }

  #pump(): void {
    for (const message of this.#waiting) {
      if (!this.#canSend) break;
      try {
        const held = message.held ?? this.#store.hold(message.data, message.content);
        if (typeof held !== 'number') {
          this.#sendLater(message, held);
          break;
        }
        this.#waiting.delete(message);
        this.#sendNow(held);
        message.waiter.resolve();
      } catch (error) {
        this.#waiting.delete(message);
        message.waiter.reject(error);
      }
    }
    this.#afterChange();
  }

  #sendNow(id: number): void {
    this.#inFlight.push(id);
    this.#link.sendObject(id);
  }

  /** Sends what the pool copies; who was given up meanwhile is not waiting any more. */
  #sendLater(message: Message, held: Promise<number>): void {
    this.#isCopying = true;
    const settled = held.then(
      (id) => {
        this.#isCopying = false;
        if (this.#waiting.delete(message)) {
          this.#sendNow(id);
          message.waiter.resolve();
        } else {
          this.#store.letGo(id);
        }
      },
      (error: unknown) => {
        this.#isCopying = false;
        if (this.#waiting.delete(message)) message.waiter.reject(error);
      },
    );
    void settled.then(() => this.#pump());
  }

  #onOpened(highWaterMark: number): void {
    this.#window = Math.min(this.#highWaterMark, highWaterMark);
    for (const waiter of this.#connecting) waiter.resolve();
    this.#connecting.clear();
    this.#pump();
  }

  #onTaken(count: number): void {
    if (count > this.#inFlight.length) {
      throw malformed(`says that ${count} messages were taken of ${this.#inFlight.length}`, {
        count,
      });
    }
    for (const id of this.#inFlight.splice(0, count)) this.#store.letGo(id);
    this.#pump();
  }

  /** Messages that were sent stay on their way: the receiver takes them, or counts them as lost. */
  #onStoreCloses(): void {
    this.#sayClose();
    this.#fail(storeClosed(this.#store.name));
  }

  #sayClose(): void {
    if (!this.#hasSaidClose) this.#link.sayClose();
    this.#hasSaidClose = true;
  }

  #onFailed(error: unknown): void {
    if (!isMemdriftError(error)) {
      this.#fail(error);
      return;
    }
    const lost = this.#inFlight.length;
    this.#fail(
      new MemdriftError(
        error.code,
        `the receiver of channel ${this.#name} ${error.message}; ${lost} messages that were sent ` +
          'were not taken',
        { channel: this.#name, lost, cause: error },
      ),
    );
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isEnded) return;
    this.#failure = { error };
    this.#isFailureTold = this.#inFlight.length === 0 || this.#waiting.size > 0;
    this.#end();
    if (this.#closing === null) return;
    if (this.#isFailureTold) this.#closing.resolve();
    else this.#closing.reject(error);
    this.#isFailureTold = true;
  }

  #afterChange(): void {
    if (this.#failure !== null || this.#isEnded) return;
    const isAllSent = this.#waiting.size === 0 && !this.#isCopying;
    if (this.#closing !== null && isAllSent) {
      this.#sayClose();
      if (this.#inFlight.length === 0) {
        this.#end();
        this.#closing.resolve();
        return;
      }
    }
    const isWaiting = !isAllSent || this.#connecting.size > 0;
    this.#link.keepAlive(isWaiting || this.#closing !== null);
  }

  /** Ends the connection and everything that waits; may be called again. */
  #end(): void {
    this.#isEnded = true;
    this.#link.end();
    this.#onEnd();
    for (const id of this.#inFlight.splice(0)) this.#store.letGo(id);
    const error = this.#failure?.error ?? closedHere(this.#name);
    for (const { held, waiter } of this.#waiting) {
      if (typeof held === 'number') this.#store.letGo(held);
      waiter.reject(error);
    }
    this.#waiting.clear();
    for (const waiter of this.#connecting) waiter.reject(error);
    this.#connecting.clear();
  }
}

function closedHere(channel: string): MemdriftError {
  return new MemdriftError(
    'ERR_CLOSED',
    `channel ${channel} was closed here; make it again with store.channel`,
    { channel },
  );
}
