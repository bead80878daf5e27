/** terminate() of a worker in the middle of each call, while main goes on with the same store. */
import { afterEach, describe, expect, it } from 'vitest';
import { freshName, leftOf, OtherProcess, packageUrl } from './processes.ts';

/** More of them, by hand, find what is rarer; a seed that was printed repeats the moments. */
const rounds = Number(process.env.MEMDRIFT_TEST_ROUNDS ?? 2);
const givenSeed = Number(process.env.MEMDRIFT_TEST_SEED ?? 0);

/** What a worker does again and again until its end: `s` is its store, `id` an object of main's. */
const calls: Readonly<Record<string, string>> = {
  create: `kept.push(s.create(size()));
    if (kept.length > 40) kept.splice(0).map((o) => o.abort());`,
  createAsync: `kept.push(await s.createAsync(size()));
    if (kept.length > 40) kept.splice(0).map((o) => o.abort());`,
  'createAsync, many at once': `const all = Array.from({ length: 20 }, () => s.createAsync(size()));
    for (const one of await Promise.all(all)) one.abort();`,
  put: `const made = await s.put(new Uint8Array(size()).fill(9)); s.delete(made);`,
  'put, many at once': `const bytes = new Uint8Array(size()).fill(9);
    for (const made of await Promise.all(Array.from({ length: 20 }, () => s.put(bytes))))
      s.delete(made);`,
  'put of a view': `const o = await s.get(id); const puts = [s.put(o.bytes), s.put(o.bytes)];
    o.release(); for (const made of await Promise.all(puts)) s.delete(made);`,
  'put of a resizable view': `const b = new ArrayBuffer(size(), { maxByteLength: 300_000 });
    const puts = [s.put(new Uint8Array(b)), s.put(new Uint8Array(b))].map((p) => p.catch(() => 0));
    if (random() < 0.5) b.resize(0);
    for (const made of await Promise.all(puts)) if (made) s.delete(made);`,
  seal: `const made = s.create(size()); made.bytes.fill(9); made.seal(); s.delete(made.id);`,
  abort: `const made = s.create(size()); made.bytes.fill(9); made.abort();`,
  get: `kept.push(await s.get(id)); if (kept.length > 200) kept.splice(0).map((o) => o.release());`,
  'get of its own': `const made = await s.put(new Uint8Array(size())); const o = await s.get(made);
    s.delete(made); o.bytes.fill(1); kept.push(o); if (kept.length > 20) kept.splice(0);`,
  release: `const o = await s.get(id); o.bytes.fill(1); o.release();`,
  delete: `const made = s.create(1); made.seal(); s.delete(made.id);`,
  list: `if (kept.length < 20) kept.push(s.create(1), await s.get(id)); s.list();`,
  stats: `if (kept.length < 20) kept.push(s.create(1), await s.get(id)); s.stats();`,
  giveBack: `s.create(size()).abort(); await s.giveBack(0);`,
  close: `kept.push(await s.get(id), s.create(10)); s.put(new Uint8Array(size())).then((made) =>
    other.delete(made), () => {}); s.close(); kept.length = 0; s = await m.Store.open(name, each);`,
  'Store.create': `const one = await m.Store.create({ name: name + '-' + threadId + '-' + n++,
    capacityBytes: 1e6, ...each }); await one.put(new Uint8Array(10)); one.close();`,
  'Store.open': `const one = await m.Store.open(name, each); await one.get(id); kept.push(one);
    if (kept.length > 9) kept.splice(0).map((o) => o.close());`,
  'Store.open, many at once': `for (const one of await Promise.all(Array.from({ length: 9 }, () =>
    m.Store.open(name, each)))) one.close();`,
};

const workerCode = (call: string): string => `
  const { parentPort, threadId, workerData } = require('node:worker_threads');
  import(workerData.url).then(async (m) => {
    const { name, id, mapEach } = workerData;
    let state = workerData.seed;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    const each = { mapEach };
    let s = await m.Store.open(name, each), n = 0;
    const other = await m.Store.open(name);
    const kept = [];
    const size = () => 1 + Math.floor(random() * 300_000);
    parentPort.postMessage('busy');
    for (;;) {
      try { ${call} } catch (error) {
        if (!['ERR_BUSY', 'ERR_FULL'].includes(error.code)) throw error;
      }
      if (random() < 0.01) await new Promise((done) => setImmediate(done));
    }
  });`;

/** Ends workers at moments that `seed` decides; says what is wrong, then its seed. */
const mainCode = (name: string, call: string, seed: number): string => `
  import { Worker } from 'node:worker_threads';
  import { once } from 'node:events';
  let state = ${seed};
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const s = await m.Store.create({ name: '${name}', capacityBytes: 1e8 });
  const content = Buffer.alloc(500_000, 'the same for everybody');
  const id = await s.put(content);
  const held = await s.get(id);
  const wrong = [];
  const use = async () => {
    const bytes = Buffer.alloc(Math.floor(random() * 100_000), 'of main');
    const made = await s.put(bytes);
    const o = await s.get(made);
    if (!bytes.equals(o.bytes)) wrong.push('bytes that main had put');
    s.delete(made);
    o.release();
    if (!content.equals(held.bytes)) wrong.push('bytes that main holds');
  };
  for (let round = 0; round < ${rounds}; round++) {
    const workers = [false, true].map((mapEach) => new Worker(${JSON.stringify(workerCode(call))},
      { eval: true, execArgv: [], workerData:
        { url: ${JSON.stringify(packageUrl)}, name: '${name}', id, mapEach,
          seed: 1 + Math.floor(random() * 1e9) } }));
    for (const one of workers) one.on('error', (e) => wrong.push('a worker: ' + e.stack));
    await Promise.all(workers.map((one) => once(one, 'message')));
    const end = Date.now() + random() * 40;
    while (Date.now() < end) await use();
    await Promise.all(workers.map((one) => one.terminate()));
    // What a worker has sealed is there for all; nothing else of it may be.
    for (const one of s.list()) {
      if (one.id === id) continue;
      if (one.state !== 'sealed' || one.holders.length > 0) wrong.push(JSON.stringify(one));
      else s.delete(one.id);
    }
    const { clients, objects, liveBytes } = s.stats();
    if (clients !== 1 || objects !== 1 || liveBytes !== content.length)
      wrong.push(JSON.stringify(s.stats()));
    if (s.list()[0].holders.length !== 1) wrong.push(JSON.stringify(s.list()));
    await use();
  }
  console.log(JSON.stringify(wrong));
  s.close();`;

describe('terminate() of a worker', { timeout: 120_000 }, () => {
  const others: OtherProcess[] = [];
  afterEach(async () => {
    for (const other of others.splice(0)) await other.kill();
  });

  it.each(Object.entries(calls))(
    'in %s harms nobody and leaves nothing held',
    async (_is, call) => {
      const seed = givenSeed || 1 + Math.floor(Math.random() * 1e9);
      const name = freshName('terminate');
      const other = new OtherProcess(mainCode(name, call, seed));
      others.push(other);
      const said = await other.line().catch((error: Error) => error.message);
      expect(said, `seed ${seed}`).toBe('[]');
      expect(await other.ended(), `seed ${seed}`).toBe(0);
      expect(leftOf(name)).toEqual([]);
    },
  );
});
