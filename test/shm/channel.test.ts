import { describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import type { StoreObject } from '../../src/shm/store_object.ts';
import { byteOf, errorWith, makeStore, megabyte, nextByte } from './channels.ts';

describe('a message', () => {
  it('is a view, a producer, an object or an id, and arrives as what was sent', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, from] = [store.channel('data'), other.channel('data')];
    const produced = store.create(3 * megabyte);
    produced.bytes.fill(2);
    const id = await store.put(byteOf(3));
    const large = new Uint8Array(2 * megabyte).fill(1);
    const view = new Uint8Array(large.buffer, 100, megabyte);
    using object = await store.get(id);
    const sending = [view, produced, id, object, new Uint16Array([0x0504]), new Uint8Array(0)].map(
      (data) => to.send(data),
    );
    const sizes: (number | undefined)[][] = [];
    for (let i = 0; i < 6; i++) {
      using received = (await from.receive()) as StoreObject;
      sizes.push([received.bytes.length, received.bytes[0], received.bytes.at(-1)]);
    }
    await Promise.all(sending);
    expect(sizes).toEqual([
      [megabyte, 1, 1],
      [3 * megabyte, 2, 2],
      [10, 3, 3],
      [10, 3, 3],
      [2, 4, 5],
      [0, undefined, undefined],
    ]);
    expect(() => produced.seal()).toThrow(errorWith('ERR_STATE'));
    expect(() => produced.bytes).toThrow(errorWith('ERR_STATE'));
  });

  it('of bytes is an object that nobody else can get, and that ends with its release', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, from] = [store.channel('data'), other.channel('data')];
    const received = from.receive();
    await to.send(byteOf(7));
    const object = (await received) as StoreObject;
    await expect(store.get(object.id)).rejects.toThrow(errorWith('ERR_GONE'));
    expect(object.bytes[0]).toBe(7);
    await to.close();
    expect(store.list()).toMatchObject([{ id: object.id, state: 'deleted' }]);
    object.release();
    expect(store.stats()).toMatchObject({ objects: 0, liveBytes: 0 });
  });

  it('of an object that exists leaves it as it is, and lets it be deleted at once', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, from] = [store.channel('data'), other.channel('data')];
    const [kept, deleted] = [await store.put(byteOf(1)), await store.put(byteOf(2))];
    const sending = [to.send(kept), to.send(deleted)];
    store.delete(deleted);
    expect([await nextByte(from), await nextByte(from)]).toEqual([1, 2]);
    await Promise.all(sending);
    await to.close();
    expect(store.list()).toMatchObject([{ id: kept, state: 'sealed', holders: [] }]);
  });

  it('keeps the element type and shape of what was sent, however large', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, from] = [store.channel('data'), other.channel('data')];
    for (const rows of [2, 500]) {
      const image = new Float32Array(rows * 300).fill(0.5);
      const received = from.receive();
      await to.send(image, { shape: [rows, 300] });
      using object = (await received) as StoreObject;
      expect(object.shape).toEqual([rows, 300]);
      expect(object.as('float32')).toStrictEqual(image);
    }
    const wrong = to.send(new Float32Array(6), { shape: [7] });
    await expect(wrong).rejects.toThrow(errorWith('ERR_INVALID'));
    await to.close();
    expect(store.stats().objects).toBe(0);
  });

  it('can be sent on by who received it, without a copy', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, via] = [store.channel('to'), other.channel('to')];
    const [on, end] = [other.channel('on'), store.channel('on')];
    const first = via.receive();
    await to.send(byteOf(5));
    const last = end.receive();
    let id: number;
    {
      using object = (await first) as StoreObject;
      id = object.id;
      await on.send(object);
    }
    using object = (await last) as StoreObject;
    expect([object.id, object.bytes[0]]).toEqual([id, 5]);
  });

  it('that is nothing of the kind is refused', async () => {
    using store = await makeStore();
    const to = store.channel('data');
    for (const data of [null, 'text', -1, 1.5, { id: 'x' }, undefined]) {
      await expect(to.send(data as unknown as number)).rejects.toThrow(errorWith('ERR_INVALID'));
    }
    await expect(to.send(2 ** 40)).rejects.toThrow(errorWith('ERR_GONE'));
    const produced = store.create(10);
    produced.seal();
    const from = store.channel('data');
    const received = from.receive();
    await expect(to.send(produced)).rejects.toThrow(errorWith('ERR_STATE'));
    await to.send(byteOf(1));
    using object = (await received) as StoreObject;
    expect(object.bytes[0]).toBe(1);
  });

  it('that finds no room is not sent, and the next one is', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const received = from.receive();
    await expect(to.send(new Uint8Array(60 * megabyte))).rejects.toThrow(
      errorWith('ERR_TOO_LARGE'),
    );
    const full = store.create(49 * megabyte);
    await expect(to.send(new Uint8Array(2 * megabyte))).rejects.toThrow(errorWith('ERR_FULL'));
    full.abort();
    await to.send(byteOf(8));
    using object = (await received) as StoreObject;
    expect(object.bytes[0]).toBe(8);
  });
});

describe('back-pressure', () => {
  it('lets no more than highWaterMark messages wait, in order, without an await', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const to = store.channel('many', { highWaterMark: 5 });
    const from = other.channel('many', { highWaterMark: 1000 });
    const count = 10_000;
    const view = new DataView(new ArrayBuffer(4));
    const sending: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      sending.push(to.send(new Uint32Array([i])));
    }
    let most = 0;
    for (let i = 0; i < count; i++) {
      using object = (await from.receive()) as StoreObject;
      view.setUint32(0, i, true);
      if (Buffer.compare(object.bytes, new Uint8Array(view.buffer)) !== 0) {
        throw new Error(`${object.bytes} is not message ${i}`);
      }
      // The one that is received here, and those that wait.
      if (i % 10 === 0) most = Math.max(most, store.stats().objects);
    }
    await Promise.all(sending);
    await to.close();
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(1 + 5);
    expect(store.stats().objects).toBe(0);
  }, 60_000);

  it("obeys the receiver's limit where that is lower", async () => {
    using store = await makeStore();
    const to = store.channel('data', { highWaterMark: 100 });
    const from = store.channel('data', { highWaterMark: 2 });
    const first = from.receive();
    const sent: number[] = [];
    const sending = [1, 2, 3, 4, 5, 6].map((value) =>
      to.send(byteOf(value)).then(() => sent.push(value)),
    );
    (await first)?.release();
    await sending[2];
    expect(sent).toEqual([1, 2, 3]);
    for (let value = 2; value <= 6; value++) expect(await nextByte(from)).toBe(value);
    await Promise.all(sending);
    expect(sent).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('holds with bytes that the pool copies among others', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const sizes = [megabyte, 10, 2 * megabyte, 0, 65_536, 65_537, 1];
    const sending = sizes.map((size) => to.send(new Uint8Array(size)));
    for (const size of sizes) {
      using object = (await from.receive()) as StoreObject;
      expect(object.bytes.length).toBe(size);
    }
    await Promise.all(sending);
  });
});

describe('a channel', () => {
  it('sends or receives, not both, and has one receiver', async () => {
    using store = await makeStore();
    using other = await Store.open(store.name);
    const [to, from] = [store.channel('data'), store.channel('data')];
    const received = from.receive();
    await to.send(byteOf(1));
    (await received)?.release();
    await expect(to.receive()).rejects.toThrow(errorWith('ERR_STATE'));
    await expect(from.send(byteOf(1))).rejects.toThrow(errorWith('ERR_STATE'));
    for (const attachment of [store, other]) {
      const second = attachment.channel('data');
      await expect(second.receive()).rejects.toThrow(errorWith('ERR_EXISTS'));
    }
    await from.close();
    const next = other.channel('data');
    const again = next.receive();
    await store.channel('data').send(byteOf(4));
    using object = (await again) as StoreObject;
    expect(object.bytes[0]).toBe(4);
  });

  it('is apart from others, of other names and of other stores of its name', async () => {
    using store = await makeStore();
    const from = store.channel('a');
    const received = from.receive();
    const soon = { timeoutMs: 50 };
    await expect(store.channel('b').send(1, soon)).rejects.toMatchObject({ code: 'ERR_GONE' });
    await expect(store.channel('b').send(byteOf(1), soon)).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
    });
    await store.channel('a').send(byteOf(1));
    (await received)?.release();
  });

  it('has a name and a limit that are allowed', async () => {
    using store = await makeStore();
    for (const name of ['', '.hidden', 'a/b', 'x'.repeat(201)]) {
      expect(() => store.channel(name)).toThrow(errorWith('ERR_INVALID'));
    }
    for (const highWaterMark of [0, -1, 1.5, 65_537, Number.NaN]) {
      expect(() => store.channel('a', { highWaterMark })).toThrow(errorWith('ERR_INVALID'));
    }
    const name = 'x'.repeat(200);
    const received = store.channel(name).receive();
    await store.channel(name).send(byteOf(3));
    (await received)?.release();
  });

  it('of a store that is only looked at is refused', async () => {
    using store = await makeStore();
    using watcher = await Store.open(store.name, { readOnly: true });
    const id = await store.put(byteOf(1));
    await expect(watcher.channel('data').receive()).rejects.toThrow(errorWith('ERR_STATE'));
    await expect(watcher.channel('data').send(id)).rejects.toThrow(errorWith('ERR_STATE'));
  });
});
