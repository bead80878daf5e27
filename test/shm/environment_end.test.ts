import { afterEach, describe, expect, it } from 'vitest';
import { freshName, leftOf, OtherProcess } from './processes.ts';

/**
 * Two workers with everything that a native part keeps for them, in use: attachments, views that
 * nobody released, a flag that is waited for, work on the pool. `end` is what main then does.
 */
function busyWorkers(name: string, end: string): OtherProcess {
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.url).then(async (m) => {
      const name = workerData.name + '-' + workerData.index;
      const store = await m.Store.create({ name, capacityBytes: 5e7 });
      const segment = m.Segment.create({ name: name + '-segment', sizeBytes: 1e6 });
      m.Flag.create(name + '-flag').wait(1e6).catch(() => {});
      const kept = [];
      parentPort.postMessage('busy');
      (async () => { for (;;) await m.measureGroup([process.pid]); })();
      for (;;) {
        segment.buffer[0] = 1;
        const id = await store.put(new Uint8Array(1e6));
        kept.push(await store.get(id), store.create(1000));
        store.list();
        if (kept.length < 30) continue;
        for (const one of kept.splice(0)) {
          if (!one.release) { one.abort(); continue; }
          one.release();
          store.delete(one.id);
        }
      }
    });`;
  return new OtherProcess(`
    import { Worker } from 'node:worker_threads';
    const url = ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
    const workers = [0, 1].map((index) => new Worker(${JSON.stringify(worker)},
      { eval: true, execArgv: [], workerData: { url, name: '${name}', index } }));
    for (const one of workers) one.once('error', (e) => { console.error(e); process.exit(3); });
    await Promise.all(workers.map((one) => new Promise((done) => one.once('message', done))));
    setTimeout(async () => { ${end} }, Math.random() * 150);`);
}

describe('an environment that ends in the middle of its work', { timeout: 120_000 }, () => {
  const others: OtherProcess[] = [];
  afterEach(async () => {
    for (const other of others.splice(0)) await other.kill();
  });

  it.each([
    ['process.exit()', 'process.exit(0);'],
    ['terminate()', 'await Promise.all(workers.map((one) => one.terminate()));'],
  ])('by %s does not end the process with it, and leaves nothing', async (_how, end) => {
    for (let round = 0; round < 5; round++) {
      const name = freshName('environment');
      const other = busyWorkers(name, end);
      others.push(other);
      expect(await other.ended()).toBe(0);
      expect(leftOf(name)).toEqual([]);
    }
  });
});
