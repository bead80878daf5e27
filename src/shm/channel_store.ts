/** What the two ends of a channel need of their store; one per attachment. */
import { binding } from '../binding.ts';
import type { NativeCreateRequest, StoreHandle } from '../door.ts';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { contentOf } from './elements.ts';

/**
 * What can be sent. Bytes are copied into an object that is the message's alone; a StoreProducer is
 * sealed and becomes one; an object that exists already, by its id, a StoreObject or what list()
 * gave, stays what it is.
 */
export type ChannelData = ArrayBufferView | number | { readonly id: number };

/** Bytes that become an object when they are sent. */
export interface NewContent {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly request: NativeCreateRequest;
}

/** Of a send(): what put() would be told, too. */
export interface SendDetails {
  readonly site: string;
  readonly shape: number | readonly number[] | undefined;
}

/** What only Store can do, which this file does not import. */
export interface ChannelStoreHooks<Received> {
  readonly withSites: boolean;
  isProducer(data: unknown): boolean;
  /** Seals a producer. */
  sealHeld(data: unknown): void;
  objectOf(id: number, buffer: ArrayBuffer): Received;
}

const receiverEnds = {
  closed: ['ERR_CLOSED', 'was closed'],
  gone: ['ERR_GONE', 'is gone'],
  makerClosed: ['ERR_CLOSED', 'has not come, and the attachment that made the store has closed'],
  makerGone: ['ERR_GONE', 'has not come, and the process that made the store has ended'],
} as const;

export class ChannelStore<Received> {
  readonly name: string;
  readonly identity: string;
  readonly withSites: boolean;
  readonly #handle: StoreHandle;
  readonly #hooks: ChannelStoreHooks<Received>;
  readonly #closers = new Set<() => void>();
  #isClosed = false;

  constructor(handle: StoreHandle, hooks: ChannelStoreHooks<Received>) {
    this.#handle = handle;
    this.#hooks = hooks;
    this.withSites = hooks.withSites;
    const { name, identity } = binding().storeInfo(handle);
    this.name = name;
    this.identity = identity;
  }

  /**
   * Runs `action` before the store closes; returns how to take that back.
   * @throws MemdriftError ERR_CLOSED when it has closed.
   */
  beforeClose(action: () => void): () => void {
    if (this.#isClosed) throw storeClosed(this.name);
    this.#closers.add(action);
    return () => this.#closers.delete(action);
  }

  /** Ends all channels. */
  close(): void {
    this.#isClosed = true;
    for (const action of [...this.#closers]) action();
  }

  /** Returns false while the channel of that key has a receiver, here or in another attachment. */
  claim(key: number): boolean {
    return binding().storeClaimChannel(this.#handle, key);
  }

  /** Releases the claim of a receiver that is closed. */
  drop(key: number): void {
    binding().storeDropChannel(this.#handle, key);
  }

  /** Returns why a sender will get no receiver; null while it has one or may get one. */
  whyNoReceiver(key: number): MemdriftError | null {
    const state = binding().storeReceiver(this.#handle, key);
    if (state === 'never' || state === 'alive') return null;
    const [code, message] = receiverEnds[state];
    return new MemdriftError(code, message);
  }

  /** Returns why a receiver ended that did not send its reason. */
  whyEnded(key: number): MemdriftError {
    const isClosed = binding().storeReceiver(this.#handle, key) === 'closed';
    const [code, message] = isClosed ? receiverEnds.closed : receiverEnds.gone;
    return new MemdriftError(code, message);
  }

  /**
   * The id of `data` with a reference to it, which needs a letGo(): a promise where bytes are
   * copied that take long.
   */
  hold(data: ChannelData, content: NewContent | null): number | Promise<number> {
    if (content !== null) {
      return binding().storePutHeld(this.#handle, content.bytes, content.request);
    }
    const id = idOf(data);
    if (!this.#hooks.isProducer(data)) return this.holdExisting(id);
    this.#hooks.sealHeld(data);
    return id;
  }

  /**
   * Returns the content of which hold() makes an object; null when `data` is one.
   * @throws MemdriftError ERR_INVALID (shape), ERR_STATE (its buffer was transferred).
   */
  contentOf(data: ChannelData, { site, shape }: SendDetails): NewContent | null {
    if (!ArrayBuffer.isView(data)) return null;
    const { bytes, sizeBytes, elements } = contentOf(data, shape);
    return { bytes, request: { ...elements, sizeBytes, site } };
  }

  /** Whether hold() makes an object of it. */
  isNew(data: ChannelData): boolean {
    return ArrayBuffer.isView(data) || this.#hooks.isProducer(data);
  }

  holdExisting(id: number): number {
    binding().storeHold(this.#handle, id);
    return id;
  }

  /** Does nothing after the store's close(), which has done it. */
  letGo(id: number): void {
    binding().storeLetGo(this.#handle, id);
  }

  /**
   * What was sent, at once unless the store's lock has to be waited for.
   * @throws MemdriftError ERR_GONE when its sender died before, and somebody had use for the room.
   */
  take(id: number): Received | Promise<Received> {
    try {
      return this.#hooks.objectOf(id, binding().storeTake(this.#handle, id));
    } catch (error) {
      if (!isMemdriftError(error, 'ERR_BUSY')) throw error;
    }
    return binding()
      .storeTakeAsync(this.#handle, id)
      .then((buffer) => this.#hooks.objectOf(id, buffer));
  }
}

export function storeClosed(name: string): MemdriftError {
  return new MemdriftError(
    'ERR_CLOSED',
    `store ${name} was closed, and its channels with it; open it again with Store.open`,
    { name },
  );
}

/** @throws MemdriftError ERR_INVALID. */
export function idOf(data: ChannelData): number {
  const id = typeof data === 'object' && data !== null && 'id' in data ? data.id : data;
  if (Number.isSafeInteger(id) && (id as number) >= 0) return id as number;
  throw new MemdriftError(
    'ERR_INVALID',
    `${String(data)} cannot be sent: bytes in a view, a StoreProducer, a StoreObject or the id ` +
      'of an object can',
  );
}
