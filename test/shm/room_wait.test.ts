import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MemdriftError } from '../../src/errors.ts';
import { whenRoom } from '../../src/shm/room_wait.ts';
import { Store, type StoreOptions } from '../../src/shm/store.ts';
import { freshName, OtherProcess, waiting } from './processes.ts';

const megabyte = 1_000_000;
const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

function makeStore(options: Partial<StoreOptions> = {}): Promise<Store> {
  return Store.create({ name: freshName('room'), capacityBytes: 10 * megabyte, ...options });
}

const nineMegabytes = new Uint8Array(9 * megabyte);

describe('a store that is full', () => {
  it('fails at once, or after the time that was given', async () => {
    using store = await makeStore();
    await store.put(nineMegabytes);
    await expect(store.put(nineMegabytes)).rejects.toThrow(errorWith('ERR_FULL'));
    const start = performance.now();
    const late = store.createAsync(9 * megabyte, { timeoutMs: 150 });
    await expect(late).rejects.toThrow(/no room .*\(waited 150 ms\)/);
    expect(performance.now() - start).toBeGreaterThanOrEqual(149);
  });

  it('has room for who waits when an object is deleted and released', async () => {
    using store = await makeStore();
    const first = await store.put(nineMegabytes);
    const held = await store.get(first);
    const second = store.put(nineMegabytes, { timeoutMs: Number.POSITIVE_INFINITY });
    store.delete(first);
    await sleep(30);
    expect(store.stats().objects).toBe(1);
    held.release();
    using object = await store.get(await second);
    expect(object.bytes.length).toBe(9 * megabyte);
  });

  it('has room for who waits when the process that had it is killed', async () => {
    using store = await makeStore();
    const other = new OtherProcess(`${waiting}
      const s = await m.Store.open('${store.name}');
      s.create(9e6); console.log('full'); await go();`);
    await other.line();
    const put = store.put(nineMegabytes, { timeoutMs: 60_000 });
    await other.kill();
    const id = await put;
    expect(store.list()).toMatchObject([{ id, state: 'sealed' }]);
  });

  it('waits no longer when told so, or when it is closed', async () => {
    const store = await makeStore();
    await store.put(nineMegabytes);
    const stop = new AbortController();
    const aborted = store.put(nineMegabytes, { timeoutMs: 60_000, signal: stop.signal });
    const closed = store.createAsync(9 * megabyte, { timeoutMs: 60_000 });
    stop.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    await expect(store.put(nineMegabytes, { signal: stop.signal })).rejects.toThrow('enough');
    store.close();
    await expect(closed).rejects.toThrow(errorWith('ERR_CLOSED'));
  });

  it('does not wait for what no wait can mend, nor for a time that is none', async () => {
    using store = await makeStore();
    const tooLarge = store.createAsync(11 * megabyte, { timeoutMs: 60_000 });
    await expect(tooLarge).rejects.toThrow(errorWith('ERR_TOO_LARGE'));
    for (const timeoutMs of [-1, Number.NaN, '5' as unknown as number]) {
      const put = store.put(nineMegabytes, { timeoutMs });
      await expect(put).rejects.toThrow(errorWith('ERR_INVALID'));
    }
    const attempt = () => Promise.reject(new MemdriftError('ERR_CORRUPT', 'damaged'));
    await expect(whenRoom(attempt, { timeoutMs: 60_000 })).rejects.toThrow('damaged');
  });
});

describe('a store that evicts', () => {
  it('deletes the oldest that nobody holds, and no more than make room', async () => {
    using store = await makeStore({ evict: true });
    const ids: number[] = [];
    for (let i = 0; i < 5; i++) ids.push(await store.put(new Uint8Array(1.9 * megabyte).fill(i)));
    using _held = await store.get(ids[0] ?? -1);
    const next = await store.put(new Uint8Array(3 * megabyte));
    // The first is held; the second and third lie side by side.
    expect(store.list().map(({ id }) => id)).toEqual(
      expect.arrayContaining([ids[0], ids[3], ids[4], next]),
    );
    expect(store.stats()).toMatchObject({ objects: 4, evictions: 2, evict: true });
    for (const id of [ids[1], ids[2]]) {
      await expect(store.get(id ?? -1)).rejects.toThrow(errorWith('ERR_GONE'));
    }
  });

  it('is full when all that it has is held or being filled', async () => {
    using store = await makeStore({ evict: true });
    using _held = await store.get(await store.put(new Uint8Array(5 * megabyte)));
    const filling = store.create(4 * megabyte);
    await expect(store.put(nineMegabytes)).rejects.toThrow(errorWith('ERR_FULL'));
    filling.seal();
    expect(store.stats()).toMatchObject({ objects: 2, evictions: 0 });
  });

  it('takes puts without end', async () => {
    using store = await makeStore({ evict: true });
    let last = 0;
    for (let i = 0; i < 300; i++) last = await store.put(new Uint8Array(megabyte).fill(i));
    using object = await store.get(last);
    expect(object.bytes.every((byte) => byte === 299 % 256)).toBe(true);
    expect(store.stats().evictions).toBeGreaterThanOrEqual(290);
  });

  it('is what its maker says, whoever puts', async () => {
    using store = await makeStore({ evict: true });
    using other = await Store.open(store.name);
    const first = await store.put(nineMegabytes);
    await other.put(nineMegabytes);
    await expect(store.get(first)).rejects.toThrow(errorWith('ERR_GONE'));
    using keeping = await makeStore();
    await keeping.put(nineMegabytes);
    await expect(keeping.put(nineMegabytes)).rejects.toThrow(errorWith('ERR_FULL'));
    expect(keeping.stats().evictions).toBe(0);
  });
});

describe('a put that waits', () => {
  it('puts nothing else when its source ends before there is room', async () => {
    using store = await makeStore();
    const first = await store.put(nineMegabytes);
    const source = new ArrayBuffer(9 * megabyte);
    const put = store.put(Buffer.from(source), { timeoutMs: 60_000 });
    // The first attempt, which reads nothing because there is no room, is over by then.
    await sleep(200);
    structuredClone(source, { transfer: [source] });
    store.delete(first);
    await expect(put).rejects.toThrow(errorWith('ERR_STATE'));
    expect(store.stats().objects).toBe(0);
  });
});
