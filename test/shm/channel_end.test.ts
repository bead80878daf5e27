import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { byteOf, errorWith, makeStore, nextByte } from './channels.ts';

describe('the end', () => {
  it('comes when the given number of senders has closed', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 3 });
    const senders = [1, 2, 3].map(() => store.channel('data'));
    const values: (number | undefined)[] = [];
    const receiving = (async () => {
      for await (const object of from) {
        values.push(object.bytes[0]);
        object.release();
      }
    })();
    await Promise.all(senders.map((to, index) => to.send(byteOf(index))));
    await Promise.all(senders.map((to, index) => to.send(byteOf(10 + index))));
    await Promise.all(senders.map((to) => to.close()));
    await receiving;
    expect(values.toSorted((a = 0, b = 0) => a - b)).toEqual([0, 1, 2, 10, 11, 12]);
    for (const index of [0, 1, 2]) {
      expect(values.indexOf(index)).toBeLessThan(values.indexOf(10 + index));
    }
    expect(await from.receive()).toBeNull();
    await expect(senders[0]?.send(byteOf(1))).rejects.toThrow(errorWith('ERR_CLOSED'));
  });

  it('of a sender waits until all was received', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 1 });
    let isClosed = false;
    const closing = (async () => {
      await using to = store.channel('data');
      for (const value of [1, 2, 3]) await to.send(byteOf(value));
    })().then(() => {
      isClosed = true;
    });
    expect(await nextByte(from)).toBe(1);
    expect(await nextByte(from)).toBe(2);
    expect(isClosed).toBe(false);
    expect(await nextByte(from)).toBe(3);
    await closing;
    expect(await nextByte(from)).toBeNull();
  });

  it('of the receiver is ERR_CLOSED for senders, and all room is free', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data', { highWaterMark: 2 }), store.channel('data')];
    const first = from.receive();
    await to.send(byteOf(1));
    (await first)?.release();
    const sending = [2, 3, 4, 5].map((value) =>
      to.send(byteOf(value)).catch((error: Error) => error),
    );
    await sending[1];
    const waiting = from.receive();
    (await waiting)?.release();
    await from.close();
    expect(await from.receive()).toBeNull();
    expect(await sending[3]).toMatchObject({ code: 'ERR_CLOSED', details: { channel: 'data' } });
    await expect(to.send(byteOf(6))).rejects.toThrow(errorWith('ERR_CLOSED'));
    await to.close();
    expect(store.stats().objects).toBe(0);
  });

  it('of the receiver answers a receive() that waits with null', async () => {
    using store = await makeStore();
    const from = store.channel('data');
    const waiting = from.receive();
    await from.close();
    expect(await waiting).toBeNull();
    await from.close();
  });

  it('is told by close() to a sender whose messages were not received', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const first = from.receive();
    for (const value of [1, 2, 3]) await to.send(byteOf(value));
    (await first)?.release();
    const closing = to.close();
    await from.close();
    await expect(closing).rejects.toMatchObject({ code: 'ERR_CLOSED', details: { lost: 2 } });
    await to.close();
    expect(store.stats().objects).toBe(0);
  });

  it('is told by close() also when it was before, once', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const first = from.receive();
    for (const value of [1, 2, 3]) await to.send(byteOf(value));
    (await first)?.release();
    await from.close();
    // Until the sender has heard of it and let go.
    while (store.stats().objects > 0) await sleep(1);
    await expect(to.close()).rejects.toMatchObject({ code: 'ERR_CLOSED', details: { lost: 2 } });
    await to.close();
  });

  it('of a sender may be asked for again while it is awaited', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data', { senders: 1 })];
    const sending = to.send(byteOf(1));
    const closing = [to.close(), to.close()];
    await expect(to.send(byteOf(2))).rejects.toThrow(errorWith('ERR_CLOSED'));
    expect([await nextByte(from), await nextByte(from)]).toEqual([1, null]);
    await Promise.all([sending, ...closing]);
  });

  it('of the store ends its channels with ERR_CLOSED', async () => {
    const store = await makeStore();
    const unused = store.channel('unused');
    const alone = store.channel('alone').send(byteOf(1));
    const waiting = store.channel('nobody').receive();
    const iterating = (async () => {
      for await (const object of store.channel('iterated')) object.release();
    })();
    const closed = [alone, waiting, iterating].map((one) => one.catch((error: Error) => error));
    store.close();
    for (const one of closed) expect(await one).toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => store.channel('late')).toThrow(errorWith('ERR_CLOSED'));
    await expect(unused.send(byteOf(1))).rejects.toThrow(errorWith('ERR_CLOSED'));
  });

  it('of a channel that was never used is the end of it', async () => {
    using store = await makeStore();
    const channel = store.channel('data');
    await channel.close();
    await expect(channel.send(1)).rejects.toThrow(errorWith('ERR_CLOSED'));
    await expect(channel.receive()).rejects.toThrow(errorWith('ERR_CLOSED'));
  });
});

describe('a wait', () => {
  it('ends with ERR_TIMEOUT or the reason of its signal, and what it held is free', async () => {
    using store = await makeStore();
    const to = store.channel('nobody');
    const from = store.channel('silent');
    const soon = { timeoutMs: 20 };
    await expect(from.receive(soon)).rejects.toThrow(errorWith('ERR_TIMEOUT'));
    await expect(to.send(byteOf(1), soon)).rejects.toThrow(errorWith('ERR_TIMEOUT'));
    const id = await store.put(byteOf(1));
    const reason = new Error('enough');
    const control = new AbortController();
    const { signal } = control;
    const waits = [to.send(id, { signal }), from.receive({ signal })];
    store.delete(id);
    expect(store.stats().objects).toBe(1);
    control.abort(reason);
    for (const wait of waits) await expect(wait).rejects.toBe(reason);
    expect(store.stats().objects).toBe(0);
    for (const data of [byteOf(1), await store.put(byteOf(2))]) {
      await expect(to.send(data, { signal })).rejects.toBe(reason);
    }
    expect(store.list()).toMatchObject([{ holders: [] }]);
    await expect(from.receive({ signal })).rejects.toBe(reason);
    await expect(from.receive({ timeoutMs: -1 })).rejects.toThrow(errorWith('ERR_INVALID'));
  });

  it('that was given up leaves a producer as it is, and the messages after it', async () => {
    using store = await makeStore();
    const to = store.channel('data');
    const produced = store.create(10);
    const control = new AbortController();
    const given = to.send(produced, { signal: control.signal });
    const second = to.send(byteOf(2));
    control.abort();
    await expect(given).rejects.toMatchObject({ name: 'AbortError' });
    produced.bytes.fill(1);
    const third = to.send(produced);
    const from = store.channel('data');
    expect([await nextByte(from), await nextByte(from)]).toEqual([2, 1]);
    await Promise.all([second, third]);
  });

  it('of receive() that was given up takes no message from the next one', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    await expect(from.receive({ timeoutMs: 5 })).rejects.toThrow(errorWith('ERR_TIMEOUT'));
    await to.send(byteOf(9));
    expect(await nextByte(from)).toBe(9);
  });

  it('of close() that is given up lets go of what was not received', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const first = from.receive();
    for (const value of [1, 2]) await to.send(byteOf(value));
    (await first)?.release();
    await expect(to.close({ timeoutMs: 20 })).rejects.toThrow(errorWith('ERR_TIMEOUT'));
    // It was taken already, and is this end's.
    expect(await nextByte(from)).toBe(2);
    expect(store.stats().objects).toBe(0);
  });
});
