/** A connection to a channel's receiver: of a sender, once it has said which channel it means. */
import type { Socket } from 'node:net';
import { MemdriftError } from '../errors.ts';
import {
  type Frame,
  FrameReader,
  frameKinds,
  frameOf,
  malformed,
  refusals,
} from './channel_frames.ts';
import { endSoftly, readPastFailedWrites } from './channel_socket.ts';

export interface ChannelPeerOptions {
  readonly key: number;
  readonly highWaterMark: number;
  /** Called when it is a sender of this channel; returns whether the receiver admits it. */
  greeted(): boolean;
  sent(id: number): void;
  /** Once, after the last object: it said close, or is gone. */
  over(): void;
  /** The connection has ended, a sender's or not. */
  gone(): void;
}

export class ChannelPeer {
  readonly #socket: Socket;
  readonly #options: ChannelPeerOptions;
  readonly #reader = new FrameReader();
  #isSender = false;
  #isOver = false;
  #pid = 0;
  #waiting = 0;
  #error: MemdriftError | null = null;
  hasSaidClose = false;
  /** Objects that it announced and that were gone when they were to be taken. */
  lost = 0;
  /** Messages that were taken, which it was not told yet. */
  toAcknowledge = 0;

  constructor(socket: Socket, options: ChannelPeerOptions) {
    this.#socket = socket;
    this.#options = options;
    // A receive() that waits keeps the process alive, by the server.
    socket.unref();
    socket.on('data', (chunk) => this.#read(chunk));
    readPastFailedWrites(socket);
    // What matters of an error is the end that follows.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#over();
      options.gone();
    });
  }

  acknowledge(): void {
    this.#waiting -= this.toAcknowledge;
    this.#say(frameKinds.taken, this.toAcknowledge);
    this.toAcknowledge = 0;
  }

  /** The receiver takes nothing more. */
  close(): void {
    this.#isOver = true;
    this.#say(frameKinds.close, 0);
    endSoftly(this.#socket);
  }

  /** What a program should know of how it ended; null where it ended as it should. */
  endError(channel: string): MemdriftError | null {
    if (this.#error === null && this.hasSaidClose && this.lost === 0) return null;
    const how = this.#error?.message ?? (this.hasSaidClose ? 'closed' : 'ended without close');
    return new MemdriftError(
      this.#error?.code ?? 'ERR_GONE',
      `a sender (pid ${this.#pid}) of channel ${channel} is gone: ${how}; ${this.lost} messages ` +
        'that it had sent were lost with it',
      { channel, pid: this.#pid, lost: this.lost },
    );
  }

  #over(): void {
    if (!this.#isSender || this.#isOver) return;
    this.#isOver = true;
    this.#options.over();
  }

  #say(kind: (typeof frameKinds)['welcome' | 'taken' | 'close' | 'refused'], count: number): void {
    if (this.#socket.writable) this.#socket.write(frameOf(kind, count, 0));
  }

  #read(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) {
        // What comes after the end is nobody's.
        if (this.#isOver) return;
        this.#accept(frame);
      }
    } catch (error) {
      this.#refuse(refusals.malformed, error as MemdriftError);
    }
  }

  #accept({ kind, count, value }: Frame): void {
    if (!this.#isSender) {
      if (kind !== frameKinds.hello) throw malformed(`of kind ${kind} is before hello`, { kind });
      this.#greet(count, value);
    } else if (kind === frameKinds.close) {
      this.hasSaidClose = true;
      this.#over();
    } else if (kind === frameKinds.object) {
      this.#wait(value);
    } else {
      throw malformed(`of kind ${kind} is not what a sender says`, { kind });
    }
  }

  #greet(pid: number, key: number): void {
    if (key !== this.#options.key) {
      this.#refuse(refusals.otherChannel, null);
      return;
    }
    if (!this.#options.greeted()) {
      this.#refuse(refusals.enoughSenders, null);
      return;
    }
    this.#isSender = true;
    this.#pid = pid;
    this.#say(frameKinds.welcome, this.#options.highWaterMark);
  }

  #wait(id: number): void {
    const { highWaterMark } = this.#options;
    if (this.#waiting === highWaterMark) {
      throw malformed(`comes before one of ${highWaterMark} others was taken`, { highWaterMark });
    }
    this.#waiting++;
    this.#options.sent(id);
  }

  #refuse(reason: number, error: MemdriftError | null): void {
    this.#error = error;
    this.#say(frameKinds.refused, reason);
    this.#over();
    this.#isOver = true;
    this.#socket.destroySoon();
  }
}
