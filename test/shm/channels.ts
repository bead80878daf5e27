/** What tests of channels share. */
import { statSync } from 'node:fs';
import { expect } from 'vitest';
import type { Channel } from '../../src/shm/channel.ts';
import { ChannelPlace } from '../../src/shm/channel_place.ts';
import { Store } from '../../src/shm/store.ts';
import type { StoreObject } from '../../src/shm/store_object.ts';
import { freshName } from './processes.ts';

export const megabyte = 1_000_000;
export const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

export function makeStore(): Promise<Store> {
  return Store.create({ name: freshName('channel'), capacityBytes: 50 * megabyte });
}

/** The first byte of the next object, which is released. */
export async function nextByte(channel: Channel<StoreObject>): Promise<number | undefined | null> {
  const object = await channel.receive();
  if (object === null) return null;
  using _held = object;
  return object.bytes[0];
}

export const byteOf = (value: number): Uint8Array => new Uint8Array(10).fill(value);

/** Where the channel's receiver listens. */
export function placeOf(store: Store, channel: string): ChannelPlace {
  const { dev, ino } = statSync(store.path, { bigint: true });
  return new ChannelPlace({ name: store.name, identity: `${dev}:${ino}` }, channel);
}
