/**
 * Where a channel's two ends meet: a socket in the folder of this user, whose name follows from
 * the store, which of its namesakes it is, and the channel.
 *
 * A receiver's socket has a name that is never used again, and gets it when it listens already.
 * So whoever finds one that refuses may remove it: nobody will ever listen there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { socketFolder, socketPathFor } from '../socket_folder.ts';

export class ChannelPlace {
  /** 48 bits of which channel of which store it is: what a sender must know to be admitted. */
  readonly key: number;
  readonly #prefix: string;

  constructor(store: { readonly name: string; readonly identity: string }, channel: string) {
    const named = `${store.identity}/${store.name}/${channel}`;
    const digest = createHash('sha256').update(named).digest();
    this.key = digest.readUIntLE(0, 6);
    // Names of 200 characters do not fit into a socket's path.
    this.#prefix = `channel-${digest.toString('hex', 6, 16)}-`;
  }

  /** The sockets that are there for this channel: of its receiver, and of those that died. */
  sockets(): string[] {
    return this.#files('.sock');
  }

  /** For the receiver: what one left that died before its socket listened. */
  removeUnnamed(): void {
    for (const path of this.#files('.new')) removeSocket(path);
  }

  /**
   * Two paths for a new socket: one to bind, which nobody looks at, and one to rename it to when
   * it listens. @throws MemdriftError ERR_TOO_LARGE, ERR_DENIED.
   */
  newSocket(): { readonly unnamed: string; readonly path: string } {
    const path = socketPathFor(`${this.#prefix}${randomBytes(6).toString('hex')}`);
    return { unnamed: path.replace(/\.sock$/, '.new'), path };
  }

  #files(end: string): string[] {
    const folder = socketFolder();
    return readdirSync(folder)
      .filter((name) => name.startsWith(this.#prefix) && name.endsWith(end))
      .map((name) => join(folder, name));
  }
}

export function removeSocket(path: string): void {
  rmSync(path, { force: true });
}
