/** A receiver on a store whose lock has to be waited for: what is taken by the pool comes later. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FrameWriter, frameKinds } from '../../src/shm/channel_frames.ts';
import { ChannelPlace } from '../../src/shm/channel_place.ts';
import { ChannelReceiver } from '../../src/shm/channel_receiver.ts';
import type { ChannelStore } from '../../src/shm/channel_store.ts';
import { freshName } from './processes.ts';

interface Taken extends Disposable {
  readonly id: number;
}

const identity = { name: freshName('receiver'), identity: '0:0' };

function receiverOf(take: (id: number) => number | Promise<number>, released: number[]) {
  const objectOf = (id: number): Taken => ({ id, [Symbol.dispose]: () => released.push(id) });
  const store = {
    ...identity,
    claim: () => true,
    drop: () => {},
    beforeClose: () => () => {},
    take: (id: number) => {
      const taken = take(id);
      return typeof taken === 'number' ? objectOf(taken) : taken.then(objectOf);
    },
  };
  const parts = { name: 'data', highWaterMark: 100, senders: 1 };
  return new ChannelReceiver<Taken>(store as unknown as ChannelStore<Taken>, parts);
}

/** Says that it sends objects of these ids, and closes. */
async function sendIds(ids: readonly number[]): Promise<void> {
  const place = new ChannelPlace(identity, 'data');
  while (place.sockets().length === 0) await sleep(1);
  const writer = new FrameWriter();
  writer.add(frameKinds.hello, 1, place.key);
  for (const id of ids) writer.add(frameKinds.object, 0, id);
  writer.add(frameKinds.close, 0, 0);
  connect(place.sockets()[0] ?? '')
    .unref()
    .write(writer.take());
}

describe('objects that take time to be taken', () => {
  it('come in order, before the end, among those that take none', async () => {
    const take = (id: number) => (id % 3 === 1 ? sleep(10 - id).then(() => id) : id);
    const receiver = receiverOf(take, []);
    const first = receiver.receive({});
    const ids = [1, 2, 3, 4, 5, 6, 7, 8];
    await sendIds(ids);
    const received = [(await first)?.id];
    for (let i = 1; i <= ids.length; i++) received.push((await receiver.receive({}))?.id);
    expect(received).toEqual([...ids, undefined]);
  });

  it('are released when the receiver was closed meanwhile, with those that waited', async () => {
    const released: number[] = [];
    let finish = (): void => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const asked: number[] = [];
    const take = (id: number) => {
      asked.push(id);
      return id === 3 ? held.then(() => 3) : id;
    };
    const receiver = receiverOf(take, released);
    const first = receiver.receive({});
    await sendIds([1, 2, 3, 4]);
    expect((await first)?.id).toBe(1);
    await receiver.close();
    finish();
    while (!released.includes(3)) await sleep(1);
    await sleep(1);
    // What was taken and not received; 4 is its sender's still.
    expect(released).toEqual([2, 3]);
    expect(asked).toEqual([1, 2, 3]);
  });

  it('are an error where they cannot be taken, and the next ones come', async () => {
    const take = (id: number) => (id === 2 ? sleep(1).then(() => Promise.reject(full)) : id);
    const full = Object.assign(new Error('no address space'), { code: 'ERR_NO_MEMORY' });
    const receiver = receiverOf(take, []);
    const first = receiver.receive({});
    await sendIds([1, 2, 3]);
    expect((await first)?.id).toBe(1);
    await expect(receiver.receive({})).rejects.toBe(full);
    expect((await receiver.receive({}))?.id).toBe(3);
    expect(await receiver.receive({})).toBeNull();
  });
});
