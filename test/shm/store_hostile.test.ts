/** A store whose table another process of this user writes to: calls fail and say so, no more. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { isMemdriftError } from '../../src/errors.ts';
import { Store } from '../../src/shm/store.ts';
import type { StoreObject } from '../../src/shm/store_object.ts';
import { randomFrom } from '../random.ts';
import { freshName, OtherProcess } from './processes.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const capacityBytes = 2 ** 20;
const random = randomFrom(6);

let vandal: OtherProcess | null = null;
let stores: Store[] = [];
afterEach(async () => {
  await vandal?.kill();
  for (const store of stores) store.close();
  stores = [];
});

/**
 * Anything anywhere, and more often what looks right where it matters; mostly taken back at once.
 * Now and then it mends what would end every call at its first look.
 */
function startVandal(path: string): OtherProcess {
  return new OtherProcess(`
    import { openSync, readSync, writeSync } from 'node:fs';
    const fd = openSync(${JSON.stringify(path)}, 'r+');
    const random = (below) => Math.floor(Math.random() * below);
    const slots = 73_728, page = 4096;
    const header = Buffer.alloc(2 * page), before = Buffer.alloc(8), value = Buffer.alloc(8);
    readSync(fd, header, 0, header.length, 0);
    const places = [
      () => random(slots + 8 * page),
      () => page + 8 * random(8),
      () => 2 * page + 8 * random(32),
      () => slots + 512 * random(32) + 8 * random(64),
      () => slots + 512 * random(32) + 8 * random(4),
    ];
    const values = [
      () => BigInt.asUintN(64, BigInt(random(2 ** 48)) * 65_521n),
      () => BigInt(random(64) * page),
      () => BigInt(${capacityBytes} - random(4) * page),
      () => BigInt(random(16)),
      () => 2n ** 64n - 1n >> BigInt(random(64)),
      () => BigInt(random(1000) * 256 + random(6)),
    ];
    console.log('begins');
    for (let count = 1; ; count++) {
      const place = places[random(places.length)]();
      readSync(fd, before, 0, 8, place);
      value.writeBigUInt64LE(values[random(values.length)]());
      writeSync(fd, value, 0, 8, place);
      if (random(4) > 0) writeSync(fd, before, 0, 8, place);
      if (count % 64 !== 0) continue;
      writeSync(fd, header, 0, header.length, 0);
      for (let slot = 0; slot < 64; slot++) {
        value.writeBigUInt64LE(BigInt(random(1000) * 256));
        writeSync(fd, value, 0, 8, slots + 512 * slot);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, random(3));
    }`);
}

const seen = new Map<string, number>();

/** Counts how the call ended; only errors that are ours may come of it. */
async function attempt(call: () => unknown): Promise<void> {
  let how = 'done';
  try {
    await call();
  } catch (error) {
    how = isMemdriftError(error) ? error.code : `${error}`;
  }
  seen.set(how, (seen.get(how) ?? 0) + 1);
}

function readAll({ bytes }: StoreObject): void {
  expect(bytes.length).toBeLessThanOrEqual(capacityBytes);
  let sum = 0;
  for (const byte of bytes) sum += byte;
  expect(sum).toBeGreaterThanOrEqual(0);
}

async function doEverything(store: Store): Promise<void> {
  await attempt(async () => {
    const producer = random(2) ? store.create(random(20_000)) : await store.createAsync(5000);
    expect(Number.isSafeInteger(producer.id)).toBe(true);
    producer.bytes.fill(7);
    if (random(8) === 0) producer.abort();
    else producer.seal();
  });
  await attempt(async () => {
    const id = await store.put(new Uint8Array(random(9000)));
    using object = await store.get(id);
    readAll(object);
    store.delete(id);
  });
  await attempt(async () => {
    for (const { id, sizeBytes } of store.list()) {
      expect(Number.isSafeInteger(id) && sizeBytes <= capacityBytes).toBe(true);
      await attempt(async () => {
        using object = await store.get(id);
        readAll(object);
      });
    }
  });
  await attempt(() => store.delete(random(1000) * 65_536 + random(8)));
  await attempt(() => expect(store.stats().capacityBytes).toBe(capacityBytes));
  if (random(16) === 0) await attempt(() => store.giveBack());
  if (random(16) === 0) await attempt(async () => (await Store.open(store.name)).close());
}

function runStoreCommand(...args: readonly string[]) {
  return new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [cli, 'store', ...args], (_error, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}

it('refuses or serves each call while its table is written to', { timeout: 120_000 }, async () => {
  const name = freshName('hostile');
  const first = await Store.create({ name, capacityBytes, sites: true });
  stores = [first, await Store.open(name, { mapEach: true, trim: true })];
  vandal = startVandal(first.path);
  await vandal.line();
  for (let count = 0; count < 400; count++) await doEverything(stores[count % 2] as Store);
  const known = ['done', 'BUSY', 'CORRUPT', 'FULL', 'GONE', 'MALFORMED', 'STATE'].map((code) =>
    code === 'done' ? code : `ERR_${code}`,
  );
  expect([...seen.keys()].filter((how) => !known.includes(how))).toEqual([]);
  expect(seen.get('done')).toBeGreaterThan(0);
  expect(seen.get('ERR_CORRUPT')).toBeGreaterThan(0);
  for (const args of [['ls'], ['ls'], ['ls', '--json'], ['stats']]) {
    const { stdout, stderr } = await runStoreCommand(...args, name);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
    expect(stderr).toMatch(/^(memdrift: [^\n]*\n)?$/);
  }
});
