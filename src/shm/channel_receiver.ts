/** The receiving end of a channel. */
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { sweepSockets } from '../socket_folder.ts';
import { ChannelPeer } from './channel_peer.ts';
import { ChannelPlace, removeSocket } from './channel_place.ts';
import { type ChannelStore, storeClosed } from './channel_store.ts';
import { ChannelWaiter, type ChannelWaitOptions } from './channel_waiter.ts';

export interface ReceiverOptions {
  readonly name: string;
  readonly highWaterMark: number;
  readonly senders: number | null;
}

/** An object that a sender announced, or that it will announce no more. */
interface Arrival {
  readonly peer: ChannelPeer;
  readonly id: number | null;
}

/** What a receive() is answered with, in order: an object, an error, or with neither an end. */
interface Entry<Received> {
  readonly peer: ChannelPeer;
  readonly object: Received | null;
  readonly error: unknown;
}

/**
 * An object is taken as soon as it is announced, so that its sender may die, and the sender is told
 * when the program has it: until then it counts as one of those that wait here.
 */
export class ChannelReceiver<Received extends Disposable> {
  readonly #store: ChannelStore<Received>;
  readonly #name: string;
  readonly #highWaterMark: number;
  readonly #place: ChannelPlace;
  readonly #onEnd: () => void;
  #server: Server | null = null;
  #path: string | null = null;
  /** Whoever is connected, sender or not. */
  readonly #peers = new Set<ChannelPeer>();
  /** The channel ends when this many senders have ended; null: it does not. */
  readonly #senders: number | null;
  #admittedSenders = 0;
  /** Senders whose end was received. */
  #endedSenders = 0;
  /** What comes while an object is taken by the pool. */
  readonly #later: Arrival[] = [];
  #isTaking = false;
  readonly #queue: Entry<Received>[] = [];
  readonly #readers = new Set<ChannelWaiter<Received | null>>();
  readonly #owing = new Set<ChannelPeer>();
  #isEnded = false;

  constructor(store: ChannelStore<Received>, options: ReceiverOptions) {
    this.#store = store;
    this.#name = options.name;
    this.#senders = options.senders;
    this.#highWaterMark = options.highWaterMark;
    this.#place = new ChannelPlace(store, options.name);
    this.#onEnd = store.beforeClose(() => {
      this.#end((reader) => reader.reject(storeClosed(store.name)));
    });
  }

  /** @throws MemdriftError ERR_EXISTS, ERR_INVALID; the signal's reason. */
  receive(options: ChannelWaitOptions): Promise<Received | null> {
    if (this.#isEnded) return Promise.resolve(null);
    if (this.#server === null) this.#listen();
    const what = `nobody sent to channel ${this.#name}`;
    const reader = new ChannelWaiter<Received | null>(options, what, () => {
      this.#readers.delete(reader);
      this.#keepAlive();
    });
    this.#readers.add(reader);
    this.#deliver();
    return reader.promise;
  }

  close(_options?: ChannelWaitOptions): Promise<void> {
    this.#end((reader) => reader.resolve(null));
    return Promise.resolve();
  }

  #listen(): void {
    if (!this.#store.claim(this.#place.key)) {
      throw new MemdriftError(
        'ERR_EXISTS',
        `somebody else receives from channel ${this.#name} of store ${this.#store.name}: a ` +
          'channel has one receiver',
        { channel: this.#name },
      );
    }
    const server = createServer((socket) => this.#accept(socket));
    // Of what it cannot accept: the others go on.
    server.on('error', () => {});
    this.#server = server;
    void this.#bind(server);
  }

  async #bind(server: Server): Promise<void> {
    try {
      await sweepSockets();
      if (this.#isEnded) return;
      this.#place.removeUnnamed();
      const { unnamed, path } = this.#place.newSocket();
      // Within a cluster the socket is this process's all the same.
      server.listen({ path: unnamed, exclusive: true });
      await once(server, 'listening');
      if (this.#isEnded) return;
      renameSync(unnamed, path);
      this.#path = path;
    } catch (error) {
      server.close();
      this.#server = null;
      this.#store.drop(this.#place.key);
      for (const reader of this.#readers) reader.reject(error);
      this.#readers.clear();
    }
  }

  #accept(socket: Socket): void {
    const peer = new ChannelPeer(socket, {
      key: this.#place.key,
      highWaterMark: this.#highWaterMark,
      greeted: () => this.#admit(),
      sent: (id) => this.#arrive({ peer, id }),
      over: () => this.#arrive({ peer, id: null }),
      gone: () => this.#peers.delete(peer),
    });
    this.#peers.add(peer);
  }

  #admit(): boolean {
    if (this.#admittedSenders === this.#senders) return false;
    this.#admittedSenders++;
    return true;
  }

  #arrive(arrival: Arrival): void {
    if (this.#isTaking) this.#later.push(arrival);
    else this.#handle(arrival);
    this.#deliver();
  }

  #handle({ peer, id }: Arrival): void {
    if (id === null) {
      this.#queue.push({ peer, object: null, error: null });
      return;
    }
    try {
      const taken = this.#store.take(id);
      if (taken instanceof Promise) this.#takeLater(peer, taken);
      else this.#queue.push({ peer, object: taken, error: null });
    } catch (error) {
      this.#notTaken(peer, error);
    }
  }

  #takeLater(peer: ChannelPeer, taken: Promise<Received>): void {
    this.#isTaking = true;
    const settled = taken.then(
      (object) => {
        if (this.#isEnded) object[Symbol.dispose]();
        else this.#queue.push({ peer, object, error: null });
      },
      (error: unknown) => this.#notTaken(peer, error),
    );
    void settled.then(() => {
      this.#isTaking = false;
      while (this.#later.length > 0 && !this.#isTaking)
        this.#handle(this.#later.shift() as Arrival);
      this.#deliver();
    });
  }

  #notTaken(peer: ChannelPeer, error: unknown): void {
    if (!isMemdriftError(error, 'ERR_GONE')) {
      this.#queue.push({ peer, object: null, error });
      return;
    }
    // Its sender is dead, and will be found so in a moment.
    peer.lost++;
    this.#owe(peer);
  }

  #deliver(): void {
    for (const reader of this.#readers) {
      const entry = this.#nextEntry();
      if (entry === undefined) break;
      this.#readers.delete(reader);
      if (entry.object !== null) reader.resolve(entry.object);
      else reader.reject(entry.error);
    }
    if (this.#readers.size > 0 && this.#isOver) void this.close();
    else this.#keepAlive();
  }

  /** What a program can be given next: ends that say nothing new are not. */
  #nextEntry(): Entry<Received> | undefined {
    for (;;) {
      const entry = this.#queue.shift();
      if (entry === undefined) return undefined;
      const { peer } = entry;
      if (entry.object !== null || entry.error !== null) {
        this.#owe(peer);
        return entry;
      }
      this.#endedSenders++;
      const error = peer.endError(this.#name);
      if (error !== null) return { peer, object: null, error };
    }
  }

  get #isOver(): boolean {
    const isQuiet = this.#queue.length === 0 && !this.#isTaking;
    return this.#endedSenders === this.#senders && isQuiet;
  }

  /** What was taken in a turn of the event loop is one frame per sender. */
  #owe(peer: ChannelPeer): void {
    peer.toAcknowledge++;
    if (this.#owing.size === 0) setImmediate(() => this.#acknowledge());
    this.#owing.add(peer);
  }

  #acknowledge(): void {
    for (const peer of this.#owing) peer.acknowledge();
    this.#owing.clear();
  }

  #keepAlive(): void {
    if (this.#readers.size > 0) this.#server?.ref();
    else this.#server?.unref();
  }

  #end(answer: (reader: ChannelWaiter<Received | null>) => void): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    // First, so that a sender whose connection ends finds the channel closed.
    if (this.#server !== null) this.#store.drop(this.#place.key);
    this.#acknowledge();
    for (const peer of this.#peers) peer.close();
    this.#later.length = 0;
    for (const { object } of this.#queue.splice(0)) object?.[Symbol.dispose]();
    this.#server?.close();
    if (this.#path !== null) removeSocket(this.#path);
    for (const reader of this.#readers) answer(reader);
    this.#readers.clear();
  }
}
