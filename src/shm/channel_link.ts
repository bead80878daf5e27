/** A sender's connection to the receiver of its channel, which may begin to listen at any time. */
import { connect, type Socket } from 'node:net';
import { MemdriftError } from '../errors.ts';
import {
  type Frame,
  FrameReader,
  FrameWriter,
  frameKinds,
  frameOf,
  malformed,
  refusals,
} from './channel_frames.ts';
import { type ChannelPlace, removeSocket } from './channel_place.ts';
import { endSoftly, readPastFailedWrites } from './channel_socket.ts';

const firstRetryMs = 1;
const lastRetryMs = 50;

export interface SenderLinkEvents {
  /** Returns whether a call still waits for a connection. */
  isWanted(): boolean;
  /** Returns why no receiver will come; null while one may. */
  whyNoReceiver(): MemdriftError | null;
  /** Returns why the connected receiver ended. */
  whyEnded(): MemdriftError;
  /** The receiver has admitted this sender, and lets this many messages wait. */
  opened(highWaterMark: number): void;
  taken(count: number): void;
  /** The receiver was closed. */
  closed(): void;
  /** The receiver is missing, ended without close, or sent malformed frames. */
  failed(error: unknown): void;
}

export class SenderLink {
  readonly #place: ChannelPlace;
  readonly #events: SenderLinkEvents;
  readonly #writer = new FrameWriter();
  #socket: Socket | null = null;
  #retry: NodeJS.Timeout | null = null;
  #retryMs = firstRetryMs;
  #isOpen = false;
  #isEnded = false;
  #keepsAlive = true;

  constructor(place: ChannelPlace, events: SenderLinkEvents) {
    this.#place = place;
    this.#events = events;
  }

  /** Whether the receiver has answered. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Looks for the receiver until it is there, cannot come, or no call waits for it. */
  dial(): void {
    if (this.#isEnded || this.#socket !== null || this.#retry !== null) return;
    this.#lookForReceiver();
  }

  /** Frames of one turn of the event loop are one write. */
  sendObject(id: number): void {
    this.#say(frameKinds.object, id);
  }

  /** Says the end even before the receiver's answer: it may have counted this sender already. */
  sayClose(): void {
    if (this.#socket !== null) this.#say(frameKinds.close, 0);
  }

  /** Whether a wait for the receiver keeps the process alive. */
  keepAlive(keeps: boolean): void {
    if (keeps === this.#keepsAlive) return;
    this.#keepsAlive = keeps;
    if (keeps) {
      this.#socket?.ref();
      this.#retry?.ref();
    } else {
      this.#socket?.unref();
      this.#retry?.unref();
    }
  }

  /** Nothing is said of the connection after this. */
  end(): void {
    this.#flush();
    this.#isEnded = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#socket !== null) endSoftly(this.#socket.unref());
  }

  #say(kind: (typeof frameKinds)['object' | 'close'], id: number): void {
    if (this.#writer.isEmpty) queueMicrotask(() => this.#flush());
    this.#writer.add(kind, 0, id);
  }

  #flush(): void {
    if (this.#isEnded || this.#writer.isEmpty) return;
    this.#socket?.write(this.#writer.take());
  }

  #lookForReceiver(): void {
    this.#retry = null;
    if (this.#isEnded || !this.#events.isWanted()) return;
    try {
      const reason = this.#events.whyNoReceiver();
      if (reason !== null) this.#events.failed(reason);
      else this.#tryNext(this.#place.sockets());
    } catch (error) {
      this.#events.failed(error);
    }
  }

  #tryNext(paths: string[]): void {
    const path = paths.pop();
    if (path === undefined) {
      this.#lookLater();
      return;
    }
    const socket = connect(path);
    this.#socket = socket;
    if (!this.#keepsAlive) socket.unref();
    readPastFailedWrites(socket);
    const reader = new FrameReader();
    // Written once it is connected, before whatever is said next.
    socket.write(frameOf(frameKinds.hello, process.pid, this.#place.key));
    socket.on('data', (chunk) => this.#read(reader, chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeSocket(path);
    });
    socket.once('close', () => {
      this.#socket = null;
      if (this.#isEnded) return;
      if (!this.#isOpen) return this.#tryNext(paths);
      this.#events.failed(this.#events.whyEnded());
    });
  }

  #lookLater(): void {
    if (this.#isEnded) return;
    this.#retry = setTimeout(() => this.#lookForReceiver(), this.#retryMs);
    if (!this.#keepsAlive) this.#retry.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
  }

  #read(reader: FrameReader, chunk: Buffer): void {
    try {
      for (const frame of reader.read(chunk)) {
        if (this.#isEnded) return;
        this.#accept(frame);
      }
    } catch (error) {
      this.#events.failed(error);
    }
  }

  #accept({ kind, count }: Frame): void {
    if (kind === frameKinds.refused) throw refused(count);
    if (kind === frameKinds.close) {
      // A receiver that had not admitted us has closed; the store knows whether there is another
      // one.
      if (this.#isOpen) this.#events.closed();
    } else if (kind === frameKinds.taken && this.#isOpen) {
      this.#events.taken(count);
    } else if (kind === frameKinds.welcome && !this.#isOpen && count > 0) {
      this.#isOpen = true;
      this.#events.opened(count);
    } else {
      throw malformed(`of kind ${kind} is not what a receiver says now`, { kind, count });
    }
  }
}

function refused(reason: number): MemdriftError {
  if (reason === refusals.enoughSenders) {
    return new MemdriftError('ERR_CLOSED', 'has had all of its senders', { reason });
  }
  return new MemdriftError(
    'ERR_MALFORMED',
    `does not take this sender for one (reason ${reason}); both ends need the same version of ` +
      'memdrift',
    { reason },
  );
}
