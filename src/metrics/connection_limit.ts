/** Limits a server's connections: the oldest idle one makes room for a new one. */
import type { Socket } from 'node:net';

/**
 * Keeps at most a given number of connections; a client that sends nothing cannot keep others out.
 */
export class ConnectionLimit {
  readonly #most: number;
  /** Connections without a whole request, and those that are being answered; oldest first. */
  readonly #idle = new Set<Socket>();
  readonly #answered = new Set<Socket>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Adds a new connection as an idle one; drops the oldest when there are too many. */
  add(socket: Socket): void {
    socket.once('close', () => {
      this.#idle.delete(socket);
      this.#answered.delete(socket);
    });
    while (this.#idle.size + this.#answered.size >= this.#most) this.#dropOldest();
    this.#idle.add(socket);
  }

  /** Marks a connection whose request is whole as being answered. */
  begin(socket: Socket): void {
    if (this.#idle.delete(socket)) this.#answered.add(socket);
  }

  /** Marks an answered connection as the youngest idle one. */
  end(socket: Socket): void {
    if (this.#answered.delete(socket) && !socket.destroyed) this.#idle.add(socket);
  }

  /** Clients that do not read their answers are dropped when no idle one is left. */
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
