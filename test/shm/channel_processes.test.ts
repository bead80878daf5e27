/** Channels between processes and workers, some of which die. */
import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Channel } from '../../src/shm/channel.ts';
import type { Store } from '../../src/shm/store.ts';
import type { StoreObject } from '../../src/shm/store_object.ts';
import { socketFolder } from '../../src/socket_folder.ts';
import { byteOf, errorWith, makeStore, megabyte, nextByte, placeOf } from './channels.ts';
import { OtherProcess, startedWorker, waiting } from './processes.ts';

const others: OtherProcess[] = [];
afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
});

/** A process attached to `store`, in whose code `s` is the store and `c` the channel 'data'. */
function other(store: Store, code: string): OtherProcess {
  const made = new OtherProcess(`${waiting}
    const s = await m.Store.open('${store.name}');
    const c = s.channel('data');
    const fill = (value) => new Uint8Array(1000).fill(value);
    ${code}`);
  others.push(made);
  return made;
}

/** What is received before an error, and the error. */
async function receivedBefore(channel: Channel<StoreObject>) {
  const values: (number | undefined)[] = [];
  try {
    for await (const object of channel) {
      values.push(object.bytes[0]);
      object.release();
    }
  } catch (error) {
    return { values, error };
  }
  return { values, error: null };
}

describe('between processes', () => {
  it('objects arrive whole, whoever starts first', async () => {
    using store = await makeStore();
    const code = `for await (const o of s.channel('data', { senders: 1 })) {
        console.log(o.bytes.length, new Set(o.bytes).size, o.bytes[0]); o.release();
      }
      console.log('done'); s.close();`;
    for (const isSenderFirst of [true, false]) {
      const to = store.channel('data');
      const send = () => Promise.all([to.send(byteOf(6)), to.send(new Uint8Array(megabyte))]);
      const early = isSenderFirst ? send() : null;
      // The line is written once the process waits, and so has begun to receive.
      const receiver = other(store, `setImmediate(() => console.log('receives')); ${code}`);
      expect(await receiver.line()).toBe('receives');
      await (early ?? send());
      expect(await receiver.line()).toBe('10 1 6');
      expect(await receiver.line()).toBe('1000000 1 0');
      await to.close();
      expect(await receiver.line()).toBe('done');
      expect(await receiver.ended()).toBe(0);
    }
    expect(store.stats().objects).toBe(0);
  });

  it('10,000 messages of three senders come in the order of each, few at a time', async () => {
    using store = await makeStore();
    const counts = [5000, 3000, 2000];
    const from = store.channel('data', { senders: counts.length });
    const senders = counts.map((count, sender) =>
      other(
        store,
        `for (let i = 0; i < ${count}; i++) c.send(new Uint32Array([${sender}, i]));
         await c.close(); process.exit(0);`,
      ),
    );
    const next = [0, 0, 0];
    let most = 0;
    for await (const object of from) {
      const view = Buffer.from(object.bytes);
      const [sender, number] = [view.readUInt32LE(0), view.readUInt32LE(4)];
      if (next[sender] !== number) throw new Error(`${number} of sender ${sender} out of order`);
      next[sender]++;
      if (number % 16 === 0) most = Math.max(most, store.stats().objects);
      object.release();
    }
    expect(next).toEqual(counts);
    expect(most).toBeLessThanOrEqual(3 * 16 + 1);
    for (const one of senders) expect(await one.ended()).toBe(0);
    expect(store.stats().objects).toBe(0);
  }, 60_000);

  it('a receiver that is killed is ERR_GONE for its sender, and all room is free', async () => {
    using store = await makeStore();
    const to = store.channel('data');
    const receiver = other(
      store,
      `(await c.receive()).release(); globalThis.held = await c.receive(); console.log('two');
       setInterval(() => {}, 1e6);`,
    );
    const sending = Array.from({ length: 40 }, (_, i) => to.send(new Uint8Array(megabyte).fill(i)));
    const ended = sending.map((one) => one.catch((error: Error) => error));
    expect(await receiver.line()).toBe('two');
    await sending[17];
    await receiver.kill();
    expect(await ended[39]).toMatchObject({ code: 'ERR_GONE', details: { lost: 16 } });
    await expect(to.send(byteOf(1))).rejects.toThrow(errorWith('ERR_GONE'));
    await to.close();
    expect(store.stats()).toMatchObject({ liveBytes: 0, objects: 0 });
  });

  it('a sender that dies ends the iteration after what it sent, and leaves nothing', async () => {
    for (const end of ["process.kill(process.pid, 'SIGKILL')", 'process.exit(0)', '']) {
      using store = await makeStore();
      const from = store.channel('data', { senders: 2 });
      const sender = other(
        store,
        `for (let i = 0; i < 5; i++) await c.send(fill(i));
         s.create(100_000); ${end}`,
      );
      const { values, error } = await receivedBefore(from);
      expect(values).toEqual([0, 1, 2, 3, 4]);
      expect(error).toMatchObject({
        code: 'ERR_GONE',
        details: { channel: 'data', pid: sender.child.pid, lost: 0 },
      });
      await sender.ended();
      expect(store.stats()).toMatchObject({ liveBytes: 0, objects: 0 });
      // The next sender is received from as if nothing had been.
      const next = other(store, 'await c.send(fill(9)); await c.close(); s.close();');
      expect(await nextByte(from)).toBe(9);
      expect(await nextByte(from)).toBeNull();
      expect(await next.ended()).toBe(0);
    }
  });

  it('a sender that dies does not end what the others send', async () => {
    using store = await makeStore();
    const from = store.channel('data');
    const dying = other(store, 'await c.send(fill(1)); setInterval(() => {}, 1e6);');
    expect(await nextByte(from)).toBe(1);
    const living = other(
      store,
      'await c.send(fill(2)); await go(); await c.send(fill(3)); s.close();',
    );
    expect(await nextByte(from)).toBe(2);
    await dying.kill();
    await expect(from.receive()).rejects.toThrow(errorWith('ERR_GONE'));
    living.go();
    expect(await nextByte(from)).toBe(3);
  });

  it('what died at both ends is gone, its socket after the next receiver has come', async () => {
    using store = await makeStore();
    const receiver = other(store, 'console.log((await c.receive()).bytes[0]); await go();');
    const sender = other(store, 'for (let i = 1; ; i++) await c.send(fill(i));');
    expect(await receiver.line()).toBe('1');
    await Promise.all([receiver.kill(), sender.kill()]);
    expect(store.stats()).toMatchObject({ liveBytes: 0, objects: 0 });
    const place = placeOf(store, 'data');
    expect(place.sockets()).toHaveLength(1);
    const [dead] = place.sockets();
    const from = store.channel('data');
    const next = from.receive();
    await store.channel('data').send(byteOf(4));
    (await next)?.release();
    expect(place.sockets()).toHaveLength(1);
    expect(place.sockets()).not.toContain(dead);
    await from.close();
    expect(place.sockets()).toEqual([]);
    expect(readdirSync(socketFolder()).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('a wait keeps the process alive, an idle channel does not', async () => {
    using store = await makeStore();
    const idle = other(
      store,
      `const next = c.receive(); console.log('waits');
       (await next).release(); console.log('idle');`,
    );
    expect(await idle.line()).toBe('waits');
    const to = store.channel('data');
    await to.send(byteOf(1));
    expect(await idle.line()).toBe('idle');
    expect(await idle.ended()).toBe(0);
    await expect(to.send(byteOf(1))).rejects.toThrow(errorWith('ERR_GONE'));
    const from = store.channel('data');
    const sender = other(store, "await c.send(fill(1)); console.log('sent');");
    expect(await nextByte(from)).toBe(1);
    expect(await sender.line()).toBe('sent');
    expect(await sender.ended()).toBe(0);
  });

  it('a store that closes leaves no unhandled rejection, and ends the process', async () => {
    using store = await makeStore();
    const ending = other(
      store,
      `process.on('unhandledRejection', () => process.exit(9));
       const one = c.send(fill(1)).catch((e) => console.log(e.code));
       const two = s.channel('other').receive().catch((e) => console.log(e.code));
       s.channel('unused');
       s.close(); await one; await two;`,
    );
    expect(await ending.line()).toBe('ERR_CLOSED');
    expect(await ending.line()).toBe('ERR_CLOSED');
    expect(await ending.ended()).toBe(0);
  });
});

describe('between workers', () => {
  const open = (name: string) => `const s = await m.Store.open('${name}');
    const c = s.channel('data');`;

  it('objects go both ways', async () => {
    using store = await makeStore();
    const [to, back] = [store.channel('data'), store.channel('back', { senders: 1 })];
    const worker = await startedWorker(`${open(store.name)}
      const back = s.channel('back');
      parentPort.postMessage('ready');
      for await (const o of s.channel('data', { senders: 1 })) { await back.send(o); o.release(); }
      await back.close(); s.close();`);
    for (const value of [1, 2, 3]) {
      await to.send(byteOf(value));
      expect(await nextByte(back)).toBe(value);
    }
    await Promise.all([to.close(), nextByte(back).then((last) => expect(last).toBeNull())]);
    await worker.terminate();
    expect(store.stats().objects).toBe(0);
  });

  it('one that is terminated while it receives is ERR_GONE for its sender', async () => {
    using store = await makeStore();
    const to = store.channel('data');
    const worker = await startedWorker(`${open(store.name)}
      const first = c.receive(); parentPort.postMessage('ready');
      globalThis.held = [await first, await c.receive()]; parentPort.postMessage('two');
      setInterval(() => {}, 1e6);`);
    const two = new Promise((resolve) => worker.once('message', resolve));
    const sending = Array.from({ length: 30 }, (_, i) => to.send(byteOf(i)));
    const ended = sending.map((one) => one.catch((error: Error) => error));
    await two;
    await worker.terminate();
    expect(await ended[29]).toMatchObject({ code: 'ERR_GONE' });
    expect(store.stats()).toMatchObject({ liveBytes: 0, objects: 0 });
  });

  it('one that is terminated while it sends ends the iteration', async () => {
    using store = await makeStore();
    const from = store.channel('data');
    const first = from.receive();
    const worker = await startedWorker(`${open(store.name)}
      await c.send(new Uint8Array(10).fill(1)); parentPort.postMessage('sent');
      setInterval(() => {}, 1e6);`);
    (await first)?.release();
    const next = from.receive().catch((error: Error) => error);
    await worker.terminate();
    expect(await next).toMatchObject({ code: 'ERR_GONE' });
    expect(store.stats().objects).toBe(0);
  });
});
