/** Connections of a server: when there are too many, the oldest idle one makes room. */
import type { Socket } from 'node:net';

/** Holds at most a number of connections; a client that sends nothing cannot keep others out. */
export class ConnectionLimit {
  readonly #most: number;
  /** Those without a whole request, and those that are being answered; each the oldest first. */
  readonly #idle = new Set<Socket>();
  readonly #answered = new Set<Socket>();

  constructor(most: number) {
    this.#most = most;
  }

  add(socket: Socket): void {
    socket.once('close', () => {
      this.#idle.delete(socket);
      this.#answered.delete(socket);
    });
    while (this.#idle.size + this.#answered.size >= this.#most) this.#dropOldest();
    this.#idle.add(socket);
  }

  /** A request is whole, and is being answered. */
  begin(socket: Socket): void {
    if (this.#idle.delete(socket)) this.#answered.add(socket);
  }

  /** It was answered: the connection is the youngest of the idle ones. */
  end(socket: Socket): void {
    if (this.#answered.delete(socket) && !socket.destroyed) this.#idle.add(socket);
  }

  /** Clients that do not read their answers are as slow: they go when no idle one is left. */
  #dropOldest(): void {
    for (const set of [this.#idle, this.#answered]) {
      const [oldest] = set;
      if (oldest === undefined) continue;
      set.delete(oldest);
      oldest.destroy();
      return;
    }
  }
}
