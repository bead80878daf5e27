/** Many calls of a store that nobody awaits, in every order, and close() among them. */
import { describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { freshName, leftOf, OtherProcess } from './processes.ts';

const megabyte = 1_000_000;
const many = 10_000;

function makeStore(capacityBytes = 100 * megabyte): Promise<Store> {
  return Store.create({ name: freshName('floods'), capacityBytes });
}

/** The numbers below `count` in an order that is the same in every run. */
function shuffled(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index);
  let state = 12_345;
  for (let left = count; left > 1; left--) {
    state = (state * 48_271) % 2_147_483_647;
    const other = state % left;
    [numbers[left - 1], numbers[other]] = [numbers[other] as number, numbers[left - 1] as number];
  }
  return numbers;
}

const codeOf = (reason: unknown): unknown => (reason as { code?: unknown }).code;

describe('many calls that nobody awaits', () => {
  it('are 10,000 gets of several objects, each released when it comes', async () => {
    using store = await makeStore();
    const ids = await Promise.all([1, 2, 3].map((value) => store.put(Buffer.alloc(9000, value))));
    const right: Promise<boolean>[] = [];
    for (let i = 0; i < many; i++) {
      const got = store.get(ids[i % 3] as number);
      right.push(
        got.then((object) => {
          const isRight = object.bytes.length === 9000 && object.bytes[8999] === 1 + (i % 3);
          object.release();
          return isRight;
        }),
      );
    }
    expect((await Promise.all(right)).filter(Boolean)).toHaveLength(many);
    expect(store.list().map((one) => one.holders)).toEqual([[], [], []]);
  });

  it('are 10,000 puts, each of which is what was put', async () => {
    using store = await makeStore();
    const content = (index: number) => Buffer.alloc(1 + (index % 5000), `${index} `);
    const puts: Promise<number>[] = [];
    for (let index = 0; index < many; index++) puts.push(store.put(content(index)));
    const ids = await Promise.all(puts);
    expect(new Set(ids).size).toBe(many);
    expect(store.stats().objects).toBe(many);
    let wrong = 0;
    for (const [index, id] of ids.entries()) {
      using object = await store.get(id);
      if (Buffer.compare(object.bytes, content(index)) !== 0) wrong++;
    }
    expect(wrong).toBe(0);
    for (const index of shuffled(many)) store.delete(ids[index] as number);
    expect(store.stats()).toMatchObject({ objects: 0, liveBytes: 0, arenaBytes: 0 });
  }, 60_000);

  it('do not keep the event loop from making room among them', async () => {
    using store = await makeStore();
    // A look at so many slots takes the pool's threads most of the time, one after the other.
    await Promise.all(Array.from({ length: 5000 }, () => store.put(new Uint8Array(1))));
    const rooms = Array.from({ length: 1000 }, () => store.createAsync(1));
    let working = true;
    const all = Promise.all(rooms).finally(() => {
      working = false;
    });
    let made = 0;
    for (; working; made++) {
      store.create(1).abort();
      await new Promise((done) => setImmediate(done));
    }
    for (const room of await all) room.abort();
    expect(made).toBeGreaterThan(0);
    expect(store.stats().objects).toBe(5000);
  });

  it('release in another order than they got, and what is still held stays', async () => {
    using store = await makeStore();
    const contents = Array.from({ length: 200 }, (_, index) => Buffer.alloc(5000, index + 1));
    const ids = await Promise.all(contents.map((one) => store.put(one)));
    const objects = await Promise.all([...ids, ...ids].map((id) => store.get(id)));
    for (const id of ids) store.delete(id);
    const order = shuffled(objects.length);
    for (const [step, index] of order.entries()) {
      objects[index]?.release();
      const next = objects[order[step + 1] ?? -1];
      if (!next) continue;
      expect(Buffer.compare(next.bytes, contents[ids.indexOf(next.id)] as Buffer)).toBe(0);
    }
    expect(store.stats()).toMatchObject({ objects: 0, liveBytes: 0 });
  });
});

describe('objects that are dropped', () => {
  it('are given up by their finalizers, among gets, releases and collections', async () => {
    const other = new OtherProcess(
      `
      const s = await m.Store.create({ name: '${freshName('floods')}', capacityBytes: 1e8 });
      const ids = [];
      for (let i = 0; i < 20; i++) ids.push(await s.put(new Uint8Array(20_000).fill(i + 1)));
      const turn = () => new Promise((done) => setImmediate(done));
      let wrong = 0;
      for (let i = 0; i < 4000; i++) {
        const id = ids[(i * 7) % 20];
        const object = await s.get(id);
        if (object.bytes[19_999] !== 1 + ((i * 7) % 20)) wrong++;
        // Whoever else holds it here sees this part, until the last of them is gone.
        if (i % 5 === 0) object.bytes.fill(99, 0, 9000);
        if (i % 3 === 0) object.release();
        if (i % 11 === 0) s.create(30_000).bytes.fill(77);
        if (i % 11 === 1) s.createAsync(30_000);
        if (i % 50 === 0) globalThis.gc();
        if (i % 50 === 25) await turn();
      }
      const left = () => s.stats().objects - 20 +
        s.list().reduce((sum, one) => sum + one.holders.length, 0);
      for (let i = 0; i < 200 && left() > 0; i++) { globalThis.gc(); await turn(); }
      for (const [i, id] of ids.entries()) {
        // What was written to views that were dropped is gone with them.
        const object = await s.get(id);
        if (!object.bytes.every((b) => b === i + 1)) wrong++;
        object.release();
      }
      console.log(JSON.stringify({ left: left(), wrong }));
      s.close();`,
      ['--expose-gc'],
    );
    expect(JSON.parse(await other.line())).toEqual({ left: 0, wrong: 0 });
    expect(await other.ended()).toBe(0);
  });
});

describe('put() of bytes that are in shared memory themselves', () => {
  /** `from` is a store or segment with the bytes, `to` the store that they are put in. */
  const sources: [string, string][] = [
    ['a view that is released', 'const o = await from.get(id); put(o.bytes); o.release();'],
    ['a view whose store is closed', 'put((await from.get(id)).bytes); from.close();'],
    ['an object that is sealed', 'const p = made(); put(p.bytes); p.seal();'],
    ['an object that is aborted', 'const p = made(); put(p.bytes); p.abort();'],
    ['an object whose store is closed', 'put(made().bytes); from.close();'],
    [
      'a segment that is closed',
      `const g = m.Segment.create({ name: from.name + '-g', sizeBytes });
      new Uint8Array(g.buffer).fill(7); put(new Uint8Array(g.buffer)); g.close();`,
    ],
  ];

  it.each(sources)('copies them from %s meanwhile', async (_what, code) => {
    const name = freshName('floods');
    const other = new OtherProcess(`
      import { pbkdf2 } from 'node:crypto';
      import { promisify } from 'node:util';
      const work = promisify(pbkdf2);
      const sizeBytes = ${30 * megabyte};
      const right = [];
      for (const mapEach of [false, true]) {
        const options = { name: '${name}', capacityBytes: 2 * sizeBytes + 8192, mapEach };
        const from = await m.Store.create(options);
        const to = await m.Store.create({ ...options, name: '${name}-to' });
        const id = await from.put(new Uint8Array(sizeBytes).fill(7));
        const made = () => { const p = from.create(sizeBytes); p.bytes.fill(7); return p; };
        let putting;
        // The pool is busy, so that the copy begins only when the source has ended.
        const busy = Promise.all([1, 2, 3, 4].map(() => work('', '', 50_000, 64, 'sha512')));
        const put = (bytes) => { putting = to.put(bytes); };
        ${code}
        await busy;
        const object = await to.get(await putting);
        right.push(Buffer.alloc(sizeBytes, 7).equals(object.bytes));
        from.close();
        to.close();
      }
      console.log(right.join());`);
    expect(await other.line()).toBe('true,true');
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });
});

describe('close() among calls that are under way', () => {
  it('lets puts end, whose objects are there for others, and refuses room to fill', async () => {
    const store = await makeStore();
    using other = await Store.open(store.name);
    const puts = Array.from({ length: 100 }, (_, i) => store.put(Buffer.alloc(300_000, i + 1)));
    const rooms = Array.from({ length: 50 }, () => store.createAsync(100_000));
    const given = store.giveBack(0);
    store.close();
    const [ids, refused] = await Promise.all([Promise.all(puts), Promise.allSettled(rooms)]);
    const codes = refused.map((one) => (one.status === 'rejected' ? codeOf(one.reason) : 'made'));
    expect(new Set(codes)).toEqual(new Set(['ERR_CLOSED']));
    await given;
    for (const [index, id] of ids.entries()) {
      using object = await other.get(id);
      expect(Buffer.compare(object.bytes, Buffer.alloc(300_000, index + 1))).toBe(0);
      other.delete(id);
    }
    expect(other.stats()).toMatchObject({ clients: 1, objects: 0 });
  });

  it('by the last one out leaves nothing once they have ended', async () => {
    const store = await makeStore();
    const puts = Array.from({ length: 50 }, () => store.put(Buffer.alloc(megabyte, 1)));
    store.close();
    await Promise.all(puts);
    expect(leftOf(store.name)).toEqual([]);
  });
});
