/** One store used at once by every kind of thread and process that Node has. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freshName, leftOf, OtherProcess, packageUrl } from './processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'memdrift-shapes-'));
const clientFile = join(folder, 'client.mjs');

/**
 * Puts objects that repeat 16 bytes of chance, and reads what anybody has put, until it has moved
 * `workBytes` of both; a byte that does not repeat is one of another object.
 */
const client = `
import { randomBytes } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { Store } from ${JSON.stringify(packageUrl)};

const workBytes = 60e6;
const store = await Store.open(process.env.STORE, { mapEach: process.env.EACH === '1' });
const mine = [];
let putBytes = 0, readBytes = 0, wrong = 0, foreign = 0;

const isWhole = (bytes) => Buffer.alloc(bytes.length, bytes.subarray(0, 16)).equals(bytes);
const unless = async (codes, call) => {
  try { return await call(); } catch (error) {
    if (!codes.includes(error.code)) throw error;
    return null;
  }
};
const put = async () => {
  const bytes = Buffer.alloc(16 + Math.floor(Math.random() * 600_000), randomBytes(16));
  const id = await unless(['ERR_FULL'], () => store.put(bytes));
  if (id !== null) { mine.push(id); putBytes += bytes.length; }
  return id;
};
const make = async () => {
  const size = 16 + Math.floor(Math.random() * 600_000);
  const made = await unless(['ERR_FULL'], () => store.createAsync(size));
  if (made === null) return;
  made.bytes.set(Buffer.alloc(size, randomBytes(16)));
  made.seal();
  mine.push(made.id);
  putBytes += size;
};
const read = async () => {
  const sealed = store.list().filter((one) => one.state === 'sealed');
  const { id } = sealed[Math.floor(Math.random() * sealed.length)] ?? {};
  if (id === undefined) return;
  const object = await unless(['ERR_GONE'], () => store.get(id));
  if (object === null) return;
  if (!isWhole(object.bytes)) wrong++;
  if (!mine.includes(id)) foreign++;
  readBytes += object.bytes.length;
  // A write is this client's alone.
  object.bytes.fill(1);
  object.release();
};
const remove = () => unless(['ERR_GONE'], () => store.delete(mine.shift()));

while (putBytes < workBytes || readBytes < workBytes) {
  await Promise.all([put(), make(), read(), read(), read()]);
  while (mine.length > 12) await remove();
}
while (mine.length > 0) await remove();
store.close();
const said = { wrong, foreign: foreign > 0, putBytes, readBytes };
if (parentPort) parentPort.postMessage(said);
else process.send(said, () => process.disconnect());
`;
writeFileSync(clientFile, client);
afterAll(() => rmSync(folder, { recursive: true }));

describe('a store', () => {
  it('keeps every byte for workers, forks, cluster workers and main at once', async () => {
    const name = freshName('shapes');
    const other = new OtherProcess(`
      import cluster from 'node:cluster';
      import { fork } from 'node:child_process';
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      const s = await m.Store.create({ name: '${name}', capacityBytes: 4e7 });
      const base = s.stats().residentBytes;
      const file = ${JSON.stringify(clientFile)};
      const envs = ['0', '1'].map((EACH) => ({ ...process.env, STORE: '${name}', EACH }));
      cluster.setupPrimary({ exec: file, execArgv: [] });
      const clients = envs.flatMap((env) => [
        new Worker(file, { env, execArgv: [] }),
        fork(file, { env, execArgv: [] }),
        cluster.fork(env),
      ]);
      const ended = clients.map((one) => once(one, 'exit').then(([code]) => code));
      const saids = clients.map((one) => once(one, 'message').then(([said]) => said));
      // Main reads as well, for as long as they work.
      let working = true, wrong = 0;
      const reads = (async () => {
        while (working) {
          for (const { id, state } of s.list()) {
            if (state !== 'sealed') continue;
            const object = await s.get(id).catch(() => null);
            if (object === null) continue;
            const first = object.bytes.subarray(0, 16);
            if (!Buffer.alloc(object.bytes.length, first).equals(object.bytes)) wrong++;
            object.release();
          }
          await new Promise((done) => setImmediate(done));
        }
      })();
      const codes = await Promise.all(ended);
      working = false;
      await reads;
      const { objects, liveBytes, clients: attached } = s.stats();
      await s.giveBack(0);
      const keptBytes = s.stats().residentBytes - base;
      s.close();
      const all = await Promise.all(saids);
      const said = { all, codes, wrong, objects, liveBytes, attached, keptBytes };
      console.log(JSON.stringify(said));`);
    const said = JSON.parse(await other.line());
    expect(await other.ended()).toBe(0);
    expect(said).toMatchObject({ codes: new Array(6).fill(0), wrong: 0, objects: 0, liveBytes: 0 });
    expect(said.attached).toBe(1);
    expect(said.all).toHaveLength(6);
    for (const one of said.all) expect(one).toMatchObject({ wrong: 0, foreign: true });
    // The pages of some slots of the table.
    expect(said.keptBytes).toBeLessThanOrEqual(64 * 4096);
    expect(leftOf(name)).toEqual([]);
  }, 120_000);
});
