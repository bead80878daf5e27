/** One end of the socket between the server and a client: messages in, messages out, in order. */
import type { Socket } from 'node:net';
import { MemdriftError } from '../errors.ts';
import { encodeMessage, MessageDecoder, type OnSocket } from './messages.ts';

/** Server and client speak in turns; who sends more than this unasked is not one of ours. */
const maxUnread = 16;

export class Connection {
  readonly #socket: Socket;
  readonly #peer: string;
  readonly #received: OnSocket[] = [];
  #waiting: { resolve(message: OnSocket): void; reject(error: unknown): void } | null = null;
  #ended: unknown = null;

  /** `peer` is how the other end is named in errors; `signal` ends every wait. */
  constructor(socket: Socket, options: { peer: string; signal: AbortSignal }) {
    this.#socket = socket;
    this.#peer = options.peer;
    const decoder = new MessageDecoder();
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.#accept(decoder, chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new MemdriftError('ERR_GONE', `${this.#peer} is gone`)));
    options.signal.addEventListener('abort', () => {
      this.#end(options.signal.reason);
      socket.destroy();
    });
  }

  send(message: OnSocket): void {
    this.#socket.write(encodeMessage(message));
  }

  /** The next message; rejects with ERR_GONE when the peer is gone, and when the run is aborted. */
  receive(): Promise<OnSocket> {
    const message = this.#received.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  close(): void {
    this.#socket.end();
  }

  #accept(decoder: MessageDecoder, chunk: string): void {
    try {
      for (const message of decoder.push(chunk)) this.#deliver(message);
    } catch (error) {
      this.#end(error);
      this.#socket.destroy();
    }
  }

  #deliver(message: OnSocket): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting) {
      waiting.resolve(message);
      return;
    }
    if (this.#received.length === maxUnread) {
      throw new MemdriftError(
        'ERR_MALFORMED',
        `${this.#peer} sent more than ${maxUnread} messages that nobody waits for`,
      );
    }
    this.#received.push(message);
  }

  #end(error: unknown): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#waiting = null;
  }
}
