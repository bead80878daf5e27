/** Views whose memory a script moves elsewhere, as ArrayBuffers let it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Segment } from '../../src/shm/segment.ts';
import { Store } from '../../src/shm/store.ts';
import { freshName, leftOf, OtherProcess } from './processes.ts';

const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

function makeStore(): Promise<Store> {
  return Store.create({ name: freshName('moved'), capacityBytes: 10_000_000 });
}

/** The bytes in another buffer, without a copy. */
function moved(bytes: Uint8Array): Uint8Array {
  return structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
}

/** An OtherProcess's code: a moved view is dropped at `drop()`, then collected. */
const dropping = `
  const drop = async (isGone) => {
    for (let i = 0; i < 100 && !isGone(); i++) {
      globalThis.gc();
      await new Promise((done) => setTimeout(done, 5));
    }
    return isGone();
  };
  const away = (bytes) => structuredClone(bytes, { transfer: [bytes.buffer] });`;

describe('a view whose memory was moved', () => {
  it('keeps the object, after release(), delete() and close() too', async () => {
    const store = await makeStore();
    using other = await Store.open(store.name);
    const id = await store.put(new Uint8Array(100_000).fill(7));
    const object = await store.get(id);
    const kept = moved(object.bytes);
    expect(() => object.bytes).toThrow(errorWith('ERR_CLOSED'));
    object.release();
    store.delete(id);
    store.close();
    // Whatever is made now is made elsewhere.
    const id2 = await other.put(new Uint8Array(100_000).fill(8));
    expect(kept.length).toBe(100_000);
    expect(kept.every((byte) => byte === 7)).toBe(true);
    expect(other.list()).toMatchObject([{ id, state: 'deleted' }, { id: id2 }]);
    expect(other.list()[0]?.holders).toHaveLength(1);
  });

  it('does not keep the object from being got again', async () => {
    using store = await makeStore();
    const id = await store.put(new Uint8Array(5000).fill(3));
    const first = await store.get(id);
    const kept = moved(first.bytes);
    using second = await store.get(id);
    expect(second.bytes.every((byte) => byte === 3)).toBe(true);
    first.release();
    expect(kept[4999]).toBe(3);
    expect(second.bytes[4999]).toBe(3);
  });

  it('lets the object go when the buffer that has it is collected', async () => {
    const other = new OtherProcess(
      `${dropping}
      const s = await m.Store.create({ name: '${freshName('moved')}', capacityBytes: 1e7 });
      const id = await s.put(new Uint8Array(1e6));
      await (async () => { const o = await s.get(id); away(o.bytes); o.release(); })();
      console.log(await drop(() => s.list()[0].holders.length === 0));
      await (async () => { away((await s.get(id)).bytes); })();
      console.log(await drop(() => s.list()[0].holders.length === 0));
      (() => { const made = s.create(100); away(made.bytes); made.abort(); })();
      console.log(await drop(() => s.stats().objects === 1));
      await (async () => { away((await s.get(id)).bytes); })();
      s.close();
      const watch = await m.Store.open(s.name, { readOnly: true });
      console.log(await drop(() => watch.stats().clients === 0));
      watch.close();`,
      ['--expose-gc'],
    );
    for (let step = 0; step < 4; step++) expect(await other.line()).toBe('true');
    expect(await other.ended()).toBe(0);
  });

  it('is read by a worker that it was given to, past the close() of who gave it', async () => {
    const name = freshName('moved');
    const worker = `
      const { parentPort } = require('node:worker_threads');
      parentPort.on('message', (bytes) => parentPort.postMessage(
        bytes === null ? globalThis.kept.every((b) => b === 9) : ((globalThis.kept = bytes), 0)));`;
    const other = new OtherProcess(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [] });
      const s = await m.Store.create({ name: '${name}', capacityBytes: 1e7 });
      const o = await s.get(await s.put(new Uint8Array(1e6).fill(9)));
      const { bytes } = o;
      worker.postMessage(bytes, [bytes.buffer]);
      await once(worker, 'message');
      o.release();
      s.close();
      worker.postMessage(null);
      console.log(...(await once(worker, 'message')));
      await worker.terminate();`);
    expect(await other.line()).toBe('true');
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });

  it("of a producer cannot be sealed, and its room is nobody else's meanwhile", async () => {
    using store = await makeStore();
    const made = store.create(9_000_000);
    const kept = moved(made.bytes);
    expect(() => made.seal()).toThrow(errorWith('ERR_STATE'));
    made.abort();
    kept.fill(1);
    expect(() => store.create(9_000_000)).toThrow(errorWith('ERR_FULL'));
    const id = await store.put(new Uint8Array(5000).fill(2));
    kept.fill(3);
    using object = await store.get(id);
    expect(object.bytes.every((byte) => byte === 2)).toBe(true);
  });

  it('of a segment is there after its close(), and its buffer can be had again', async () => {
    const segment = Segment.create({ name: freshName('moved'), sizeBytes: 10_000 });
    new Uint8Array(segment.buffer).fill(4);
    const kept = moved(new Uint8Array(segment.buffer));
    expect(new Uint8Array(segment.buffer)[9999]).toBe(4);
    const again = moved(new Uint8Array(segment.buffer));
    segment.close();
    again.fill(5);
    expect(kept.every((byte) => byte === 5)).toBe(true);
    expect(leftOf(segment.name)).toEqual([]);
  });

  it('is a copy where no transfer list names it', async () => {
    using store = await makeStore();
    using object = await store.get(await store.put(new Uint8Array(5000).fill(6)));
    const copy = structuredClone(object.bytes);
    copy.fill(1);
    await sleep(0);
    expect(object.bytes.every((byte) => byte === 6)).toBe(true);
  });
});
