import { pbkdf2, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { freshName, leftOf, OtherProcess, waiting } from './processes.ts';

const megabyte = 1_000_000;
const pbkdf2Async = promisify(pbkdf2);

function makeStore(options: Partial<Parameters<typeof Store.create>[0]> = {}): Promise<Store> {
  return Store.create({ name: freshName('store'), capacityBytes: 100 * megabyte, ...options });
}

function fill(store: Store, sizeBytes: number, value: number): number {
  const made = store.create(sizeBytes);
  made.bytes.fill(value);
  made.seal();
  return made.id;
}

function rssAnonBytes(): number {
  const line = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]) * 1024;
}

const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

describe('an object', () => {
  it('is read by another attachment as it was made, at any size', async () => {
    using store = await makeStore();
    using reader = await Store.open(store.name);
    for (const size of [0, 1, 4095, 4096, 4097, megabyte + 3]) {
      const content = randomBytes(size);
      const id = await store.put(content);
      using object = await reader.get(id);
      expect(object.bytes.length).toBe(size);
      expect(Buffer.compare(object.bytes, content)).toBe(0);
    }
  });

  it('of up to 64 KiB needs no thread of the pool, and is a copy when put returns', async () => {
    using store = await makeStore();
    const jobs = Array.from({ length: 8 }, () => pbkdf2Async('p', 's', 100_000, 64, 'sha512'));
    const source = randomBytes(64 * 1024);
    const wanted = Buffer.from(source);
    const putting = store.put(source);
    expect(store.list()).toMatchObject([{ state: 'sealed', sizeBytes: 64 * 1024 }]);
    source.fill(0);
    using object = await store.get(await putting);
    expect(Buffer.compare(object.bytes, wanted)).toBe(0);
    await Promise.all(jobs);
  });

  it('finds room by trying again and again, because others run between two tries', async () => {
    using store = await makeStore({ capacityBytes: 4096 });
    const first = await store.put(randomBytes(10));
    setImmediate(() => store.delete(first));
    let made: number | null = null;
    for (let attempt = 0; made === null && attempt < 10_000; attempt++) {
      made = await store.put(randomBytes(10)).catch(() => null);
    }
    expect(made).not.toBeNull();
  });

  it('cannot be got before it is sealed, nor written after', async () => {
    using store = await makeStore();
    using reader = await Store.open(store.name);
    const made = store.create(100);
    await expect(reader.get(made.id)).rejects.toThrow(errorWith('ERR_STATE'));
    expect(() => reader.delete(made.id)).toThrow(errorWith('ERR_STATE'));
    const bytes = made.bytes.fill(1);
    made.seal();
    expect(bytes.length).toBe(0);
    expect(() => made.bytes).toThrow(errorWith('ERR_STATE'));
    expect(() => made.seal()).toThrow(errorWith('ERR_STATE'));
    expect(() => made.abort()).toThrow(errorWith('ERR_STATE'));
  });

  it('is the same for others whatever a reader writes into its view', async () => {
    using store = await makeStore();
    const id = fill(store, megabyte, 5);
    using writer = await Store.open(store.name);
    using mine = await writer.get(id);
    mine.bytes.fill(9);
    expect(mine.bytes[500_000]).toBe(9);
    const third = new OtherProcess(`
      const s = await m.Store.open('${store.name}'); const o = await s.get(${id});
      console.log(o.bytes.every((b) => b === 5)); o.release(); s.close();`);
    expect(await third.line()).toBe('true');
    await third.ended();
  });

  it('leaves no copied page behind when it is released, with and without trim', async () => {
    for (const trim of [false, true]) {
      using store = await makeStore({ trim });
      const id = fill(store, 40 * megabyte, 1);
      const before = rssAnonBytes();
      const object = await store.get(id);
      object.bytes.fill(2);
      expect(rssAnonBytes() - before).toBeGreaterThan(30 * megabyte);
      object.release();
      expect(rssAnonBytes() - before).toBeLessThan(10 * megabyte);
      // The place is used again, and its next reader sees what is there now.
      store.delete(id);
      using next = await store.get(fill(store, 40 * megabyte, 3));
      expect(next.bytes.every((byte) => byte === 3)).toBe(true);
    }
  });

  it('is gone for new readers once deleted, and there for those who hold it', async () => {
    using store = await makeStore();
    const id = fill(store, 1000, 7);
    const held = await store.get(id);
    store.delete(id);
    await expect(store.get(id)).rejects.toThrow(errorWith('ERR_GONE'));
    using other = await Store.open(store.name);
    await expect(other.get(id)).rejects.toThrow(errorWith('ERR_GONE'));
    expect(() => other.delete(id)).toThrow(errorWith('ERR_GONE'));
    expect(held.bytes[999]).toBe(7);
    expect(store.list()).toMatchObject([{ id, state: 'deleted' }]);
  });

  it('is there to be read without a page fault when it was asked for so', async () => {
    using store = await makeStore();
    const id = fill(store, 40 * megabyte, 4);
    const faults = async (populate: boolean): Promise<number> => {
      using reader = await Store.open(store.name, { trim: true });
      using object = await reader.get(id, { populate });
      const before = process.resourceUsage().minorPageFault;
      expect(Buffer.from(object.bytes.buffer).indexOf(9)).toBe(-1);
      return process.resourceUsage().minorPageFault - before;
    };
    // A fault brings 16 pages of the 9,766 at the most, where it is left to faults.
    expect(await faults(false)).toBeGreaterThan(500);
    expect(await faults(true)).toBeLessThan(100);
    await expect(store.get(id + 1, { populate: true })).rejects.toThrow(errorWith('ERR_GONE'));
  });

  it('has an id that never comes back', async () => {
    using store = await makeStore();
    const ids = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const id = fill(store, 100, 1);
      expect(ids.has(id)).toBe(false);
      ids.add(id);
      store.delete(id);
    }
    expect(store.stats().objects).toBe(0);
    for (const id of [...ids].slice(0, 10)) {
      await expect(store.get(id)).rejects.toThrow(errorWith('ERR_GONE'));
    }
    await expect(store.get(-1)).rejects.toThrow(errorWith('ERR_INVALID'));
    await expect(store.get(2 ** 50)).rejects.toThrow(errorWith('ERR_GONE'));
  });

  it('is one view per process, counted', async () => {
    using store = await makeStore();
    const id = fill(store, 1000, 1);
    const first = await store.get(id);
    const second = await store.get(id);
    expect(first.bytes.buffer).toBe(second.bytes.buffer);
    first.release();
    first.release();
    expect(() => first.bytes).toThrow(errorWith('ERR_CLOSED'));
    const bytes = second.bytes;
    expect(bytes.length).toBe(1000);
    second.release();
    expect(bytes.length).toBe(0);
    expect(store.list()[0]?.holders).toEqual([]);
  });

  it('shows who made it, where, and who holds it', async () => {
    using store = await makeStore({ sites: true, label: 'maker' });
    using reader = await Store.open(store.name, { label: 'reader' });
    const id = fill(store, 10, 1);
    using _object = await reader.get(id);
    const [listed] = store.list();
    expect(listed).toMatchObject({
      id,
      state: 'sealed',
      sizeBytes: 10,
      extentBytes: 4096,
      creator: { pid: process.pid, label: 'maker' },
      holders: [{ pid: process.pid, label: 'reader' }],
    });
    expect(listed?.site).toMatch(/^store\.test\.ts:\d+$/);
  });
});

describe('a store', () => {
  it('uses the lowest place again, and has no more pages than were live at once', async () => {
    using store = await makeStore();
    const base = store.stats().residentBytes;
    for (let round = 0; round < 20; round++) store.delete(fill(store, 5 * megabyte, round));
    const { residentBytes, liveBytes } = store.stats();
    expect(liveBytes).toBe(0);
    expect(residentBytes - base).toBeLessThan(5.1 * megabyte);
  });

  it('moves on through three times what is live with rotate', async () => {
    using store = await makeStore({ placement: 'rotate' });
    const offsets = new Set<number>();
    for (let round = 0; round < 12; round++) {
      const id = fill(store, 4096 * 10, round);
      offsets.add(store.list()[0]?.fileOffsetBytes ?? -1);
      store.delete(id);
    }
    expect(offsets.size).toBe(3);
  });

  it('gives pages of free room back, from the top, and none of a live object', async () => {
    using store = await makeStore();
    const kept = fill(store, megabyte, 7);
    const ids = Array.from({ length: 20 }, () => fill(store, megabyte, 8));
    for (const id of ids) store.delete(id);
    const before = store.stats().residentBytes;
    const given = await store.giveBack(0);
    expect(given).toBeGreaterThan(15 * megabyte);
    expect(store.stats().residentBytes).toBe(before - given);
    using object = await store.get(kept);
    expect(object.bytes.every((byte) => byte === 7)).toBe(true);
  });

  it('says how full it is when there is no room, and has room again later', async () => {
    using store = await makeStore({ capacityBytes: 10 * megabyte });
    expect(() => store.create(11 * megabyte)).toThrow(errorWith('ERR_TOO_LARGE'));
    const ids = [1, 2].map((value) => fill(store, 4 * megabyte, value));
    expect(() => store.create(4 * megabyte)).toThrow(errorWith('ERR_FULL'));
    await expect(store.put(new Uint8Array(4 * megabyte))).rejects.toThrow(/4000000 bytes/);
    store.delete(ids[0] ?? 0);
    store.delete(fill(store, 4 * megabyte, 3));
  });

  it('refuses a capacity that the machine does not have', async () => {
    await expect(makeStore({ capacityBytes: 2 ** 50 })).rejects.toThrow(errorWith('ERR_FULL'));
    await expect(makeStore({ capacityBytes: 0 })).rejects.toThrow(errorWith('ERR_INVALID'));
  });

  it('has its room back from a producer that is killed while it fills', async () => {
    using store = await makeStore();
    const other = new OtherProcess(`
      const s = await m.Store.open('${store.name}'); globalThis.o = s.create(${50 * megabyte});
      console.log(o.id); setInterval(() => {}, 1e6);`);
    const id = Number(await other.line());
    expect(store.stats().liveBytes).toBe(50 * megabyte);
    await other.kill();
    expect(store.stats().liveBytes).toBe(0);
    store.delete(fill(store, 90 * megabyte, 1));
    await expect(store.get(id)).rejects.toThrow(errorWith('ERR_GONE'));
  });

  it('has its room back from a reader that is killed while it holds', async () => {
    using store = await makeStore();
    const id = fill(store, 60 * megabyte, 1);
    const other = new OtherProcess(`
      const s = await m.Store.open('${store.name}'); globalThis.o = await s.get(${id});
      console.log('holds'); setInterval(() => {}, 1e6);`);
    await other.line();
    store.delete(id);
    expect(() => store.create(60 * megabyte)).toThrow(errorWith('ERR_FULL'));
    await other.kill();
    store.delete(fill(store, 60 * megabyte, 2));
  });

  it('outlives its creator while somebody is attached, then goes', async () => {
    const name = freshName('store');
    const other = new OtherProcess(`${waiting}
      const s = await m.Store.create({name: '${name}', capacityBytes: 1e6});
      console.log(await s.put(new Uint8Array(10).fill(6)));
      await go(); process.kill(process.pid, 'SIGKILL');`);
    const id = Number(await other.line());
    const store = await Store.open(name);
    other.go();
    await other.ended();
    const object = await store.get(id);
    const bytes = object.bytes;
    expect([...bytes]).toEqual(new Array(10).fill(6));
    store.close();
    expect(bytes.length).toBe(0);
    expect(() => object.bytes).toThrow(errorWith('ERR_CLOSED'));
    expect(leftOf(name)).toEqual([]);
  });

  it('refuses everything after close, and lets what was under way end', async () => {
    const store = await makeStore();
    const made = store.create(100);
    const { bytes } = made;
    const putting = store.put(new Uint8Array(20 * megabyte)).catch((error: Error) => error);
    store.close();
    store.close();
    await putting;
    expect(bytes.length).toBe(0);
    expect(() => made.bytes).toThrow(errorWith('ERR_CLOSED'));
    expect(() => store.create(1)).toThrow(errorWith('ERR_CLOSED'));
    expect(() => store.list()).toThrow(errorWith('ERR_CLOSED'));
    await expect(store.get(1)).rejects.toThrow(errorWith('ERR_CLOSED'));
    expect(leftOf(store.name)).toEqual([]);
  });

  it('opened read-only can be looked at, and takes no place', async () => {
    using store = await makeStore();
    const id = fill(store, 10, 1);
    using watcher = await Store.open(store.name, { readOnly: true });
    expect(watcher.list()).toHaveLength(1);
    expect(watcher.stats()).toMatchObject({ objects: 1, clients: 1 });
    await expect(watcher.get(id)).rejects.toThrow(errorWith('ERR_STATE'));
  });

  it('releases what the garbage collector finds', async () => {
    const other = new OtherProcess(`
      const s = await m.Store.create({name: '${freshName('store')}', capacityBytes: 1e8});
      const id = await s.put(new Uint8Array(1e6));
      await (async () => { (await s.get(id)).bytes[0]; })();
      for (let i = 0; i < 50 && s.list()[0].holders.length > 0; i++) {
        for (let k = 0; k < 50; k++) new Array(1e5).fill({});
        await new Promise(r => setTimeout(r, 10));
      }
      console.log(s.list()[0].holders.length); s.close();`);
    expect(await other.line()).toBe('0');
  });

  it('takes 10,000 gets and releases that nobody awaits', async () => {
    using store = await makeStore();
    const id = fill(store, 5000, 3);
    const gets = Array.from({ length: 10_000 }, () => store.get(id));
    for (const object of await Promise.all(gets)) object.release();
    expect(store.list()[0]?.holders).toEqual([]);
  });

  it('keeps every byte under four processes that make, read and delete at once', async () => {
    using store = await makeStore({ capacityBytes: 20 * megabyte });
    const workers = [1, 2, 3, 4].map(
      (value) =>
        new OtherProcess(`
        const s = await m.Store.open('${store.name}');
        for (let i = 0; i < 400; i++) {
          const size = 1 + (i * 7919) % 1000000;
          let made;
          try { made = await s.createAsync(size); } catch (e) {
            if (e.code !== 'ERR_FULL') throw e;
            continue;
          }
          made.bytes.fill(${value}); made.seal();
          const o = await s.get(made.id);
          if (!o.bytes.every((b) => b === ${value})) throw new Error('wrong byte');
          s.delete(made.id); o.release();
        }
        s.close(); console.log('done');`),
    );
    for (const worker of workers) {
      expect(await worker.line()).toBe('done');
      expect(await worker.ended()).toBe(0);
    }
    expect(store.stats().liveBytes).toBe(0);
    await sleep(1);
  }, 120_000);

  it('says that its table was damaged, and does not crash', async () => {
    const store = await makeStore();
    fill(store, 1000, 1);
    const other = new OtherProcess(`
      import { openSync, writeSync } from 'node:fs';
      import { pbkdf2, randomBytes } from 'node:crypto';
      const s = await m.Store.open('${store.name}');
      const f = openSync(s.path, 'r+'); let codes = new Set();
      for (let i = 0; i < 200; i++) {
        writeSync(f, randomBytes(8192), 0, 8192, 8192 + 65536);
        const calls = [() => s.list(), () => s.stats(), () => s.create(10), () => s.get(65536)];
        for (const call of calls) {
          try { await call(); } catch (e) { codes.add(e.code); }
        }
      }
      console.log([...codes].sort().join()); process.exit(0);`);
    expect(await other.line()).toContain('ERR_CORRUPT');
    expect(await other.ended()).toBe(0);
    store.close();
  });
});
