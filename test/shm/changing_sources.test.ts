/** Buffers that a program transfers, drops, resizes or closes while put() copies them. */
import { afterEach, describe, expect, it } from 'vitest';
import { freshName, leftOf, OtherProcess } from './processes.ts';

const others: OtherProcess[] = [];
afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
});

/**
 * Runs code in a process and returns its output. The code has a store `s`, a `size` that only the
 * pool copies, and `seen(promise)`: "whole" when the object has `size` bytes of 5, "broken", or the
 * error's code and what is left in the store.
 */
async function saidBy(code: string): Promise<string> {
  const name = freshName('changing');
  const other = new OtherProcess(
    `const s = await m.Store.create({ name: '${name}', capacityBytes: 3e8 });
     const size = 50_000_000;
     const full = (buffer) => (new Uint8Array(buffer).fill(5), buffer);
     const seen = async (promise) => {
       try {
         const o = await s.get(await promise);
         const { bytes } = o;
         const isWhole = bytes.length === size && bytes.every((byte) => byte === 5);
         o.release();
         return isWhole ? 'whole' : 'broken';
       } catch (error) {
         return error.code + ' ' + s.stats().objects + ' objects';
       }
     };
     ${code}
     s.close();`,
    ['--expose-gc'],
  );
  others.push(other);
  const line = await other.line();
  expect(await other.ended()).toBe(0);
  expect(leftOf(name)).toEqual([]);
  return line;
}

describe('put of a buffer that is changed before it ends', { timeout: 120_000 }, () => {
  it.each([
    [
      'is transferred and collected',
      `let b = full(new ArrayBuffer(size));
       const p = s.put(new Uint8Array(b));
       structuredClone(b, { transfer: [b] }); b = null; gc(); gc();`,
    ],
    [
      'is dropped and collected',
      `const p = (() => s.put(new Uint8Array(full(new ArrayBuffer(size)))))(); gc(); gc();`,
    ],
    [
      'is transferred to a worker that ends',
      `const { Worker } = await import('node:worker_threads');
       const w = new Worker('process.exit()', { eval: true });
       const b = full(new ArrayBuffer(size));
       const p = s.put(new Uint8Array(b)); w.postMessage(b, [b]);
       await w.terminate(); gc();`,
    ],
    [
      'grows',
      `const b = full(new ArrayBuffer(size, { maxByteLength: 2 * size }));
       const p = s.put(new Uint8Array(b)); b.resize(2 * size);`,
    ],
    [
      'is shared and grows',
      `const b = full(new SharedArrayBuffer(size, { maxByteLength: 2 * size }));
       const p = s.put(new Uint8Array(b)); b.grow(2 * size);`,
    ],
    [
      'is the memory of WebAssembly, which grows',
      `const pages = Math.ceil(size / 65536);
       const memory = new WebAssembly.Memory({ initial: pages, maximum: 2 * pages });
       full(memory.buffer);
       const p = s.put(new Uint8Array(memory.buffer, 0, size)); memory.grow(pages); gc();`,
    ],
    [
      'is an object of a store that is closed',
      `const t = await m.Store.create({ name: s.name + '-t', capacityBytes: size });
       let o = await t.get(await t.put(new Uint8Array(full(new ArrayBuffer(size)))));
       const p = s.put(o.bytes); t.close(); o = null; gc();`,
    ],
    [
      'is an object that is released, deleted and written over',
      `const id = await s.put(new Uint8Array(full(new ArrayBuffer(size))));
       let o = await s.get(id);
       const p = s.put(o.bytes);
       o.release(); s.delete(id); o = null; gc();
       await s.createAsync(size).then((made) => made.bytes.fill(1));`,
    ],
    [
      'is a mapping of its own that is sealed',
      `const t = await m.Store.open(s.name, { mapEach: true });
       const made = t.create(size); made.bytes.fill(5);
       const p = s.put(made.bytes); made.seal();`,
    ],
    [
      'is a segment that is closed',
      `const t = m.Segment.create({ name: s.name + '-t', sizeBytes: size });
       full(t.buffer);
       const p = s.put(new Uint8Array(t.buffer)); t.close(); gc();`,
    ],
  ])('keeps the bytes of the call when it %s', async (_how, code) => {
    expect(await saidBy(`${code} console.log(await seen(p));`)).toBe('whole');
  });

  it.each([
    ['to nothing', 'b.resize(0);'],
    ['by a byte', 'b.resize(size - 1);'],
    [
      'in the buffer that it was transferred to',
      'const c = structuredClone(b, { transfer: [b] }); c.resize(10);',
    ],
  ])('is ERR_STATE and makes no object when it shrinks %s', async (_how, change) => {
    const code = `const b = full(new ArrayBuffer(size, { maxByteLength: size }));
      const view = new Uint8Array(b, 0, size);
      const p = s.put(view);
      p.catch(() => {});
      ${change}
      console.log(await seen(p));`;
    expect(await saidBy(code)).toBe('ERR_STATE 0 objects');
  });

  it('is whole or ERR_STATE when it shrinks in the middle', async () => {
    const code = `const results = [];
      const b = full(new ArrayBuffer(size, { maxByteLength: size }));
      for (let ms = 0; ms < 20; ms++) {
        b.resize(size);
        full(b);
        const p = s.put(new Uint8Array(b, 0, size));
        p.catch(() => {});
        await new Promise((done) => setTimeout(done, ms));
        b.resize(4096 * ms);
        results.push(await seen(p));
        const id = await p.catch(() => null);
        if (id !== null) s.delete(id);
      }
      console.log([...new Set(results)].filter((one) => one !== 'whole').join());`;
    expect(['', 'ERR_STATE 0 objects']).toContain(await saidBy(code));
  });

  it('is ERR_STATE for send(), and the channel continues', async () => {
    const code = `const from = s.channel('c'), to = (await m.Store.open(s.name)).channel('c');
      const first = from.receive();
      await to.send(new Uint8Array(1));
      (await first).release();
      const b = full(new ArrayBuffer(size, { maxByteLength: size }));
      const sent = to.send(new Uint8Array(b)).catch((error) => error.code);
      b.resize(0);
      const next = to.send(new Uint8Array(full(new ArrayBuffer(size))));
      const o = await from.receive();
      console.log(await sent, o.bytes.length === size && o.bytes.every((byte) => byte === 5));
      await next;`;
    expect(await saidBy(code)).toBe('ERR_STATE true');
  });
});

describe('put of a view without its bytes', { timeout: 120_000 }, () => {
  it.each([
    ['was transferred', 'new Uint8Array(b)', 'structuredClone(b, { transfer: [b] });'],
    [
      'is a DataView that was transferred',
      'new DataView(b)',
      'structuredClone(b, { transfer: [b] });',
    ],
    ['is beyond the end of its buffer', 'new Uint16Array(b, 10, 4)', 'b.resize(12);'],
    ['is a DataView beyond the end', 'new DataView(b, 10, 8)', 'b.resize(12);'],
  ])('is ERR_STATE when it %s', async (_how, view, change) => {
    const code = `const b = new ArrayBuffer(100, { maxByteLength: 100 });
      const view = ${view}; ${change}
      console.log(await seen(s.put(view)), '/', await seen(s.channel('c').send(view)));`;
    expect(await saidBy(code)).toBe('ERR_STATE 0 objects / ERR_STATE 0 objects');
  });

  it('makes an empty object of a view that is empty', async () => {
    const code = `const b = new ArrayBuffer(100, { maxByteLength: 100 });
      const views = [new Uint8Array(b, 50, 0), new Uint8Array(0), new DataView(b, 100)];
      const follows = new Uint8Array(b); b.resize(0); views.splice(0, 1, follows);
      views.pop();
      const sizes = [];
      for (const view of views) sizes.push((await s.get(await s.put(view))).bytes.length);
      console.log(sizes);`;
    expect(await saidBy(code)).toBe('[ 0, 0 ]');
  });
});

describe('put of a view whose buffer is transferred by code that put() calls', {
  timeout: 120_000,
}, () => {
  it.each([
    ['a getter of the options', 'get shape() { away(); return undefined; }'],
    ['the second look at an option', 'get timeoutMs() { if (++looks === 2) away(); return 0; }'],
    [
      'the iterator of a shape',
      'shape: Object.assign([size], { *[Symbol.iterator]() { away(); yield size; } })',
    ],
  ])('is ERR_STATE when it is %s', async (_who, option) => {
    const code = `const b = full(new ArrayBuffer(size));
      let looks = 0;
      const away = () => b.byteLength > 0 && structuredClone(b, { transfer: [b] });
      console.log(await seen(s.put(new Uint8Array(b), { ${option} })));`;
    expect(await saidBy(code)).toBe('ERR_STATE 0 objects');
  });

  it('calls no getters of the view', async () => {
    const code = `const b = full(new ArrayBuffer(size));
      class Odd extends Uint8Array {
        get byteLength() { structuredClone(b, { transfer: [b] }); return 1; }
        get byteOffset() { return 7; }
        get buffer() { return new ArrayBuffer(1); }
      }
      console.log(await seen(s.put(new Odd(b))));`;
    expect(await saidBy(code)).toBe('whole');
  });
});

/**
 * Node 24 may wait forever in process.exit() for a thread of V8 that waits for the main thread to
 * collect garbage.
 */
const noThreadsOfV8 = ['--single-threaded'];

describe('an exit while put() copies', { timeout: 120_000 }, () => {
  it.each([
    ['process.exit()', 'process.exit(0);'],
    [
      "in an 'exit' listener",
      "process.on('exit', () => { s.put(view); s.put(small); }); process.exit(0);",
    ],
    [
      'an uncaught error',
      "process.exitCode = 0; process.on('uncaughtException', () => process.exit(0)); throw 1;",
    ],
    ['a last line', 'p.then(() => s.close());'],
  ])('by %s leaves nothing', async (_how, end) => {
    const name = freshName('changing');
    const other = new OtherProcess(
      `
      const s = await m.Store.create({ name: '${name}', capacityBytes: 3e8 });
      const view = new Uint8Array(new ArrayBuffer(5e7, { maxByteLength: 5e7 }));
      const small = new Uint8Array(10);
      const p = s.put(new Uint8Array(5e7)); s.put(view); console.log('busy');
      ${end}`,
      noThreadsOfV8,
    );
    others.push(other);
    expect(await other.line()).toBe('busy');
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });
});
