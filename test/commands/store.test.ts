/** `memdrift store`, as a process, on a store that this process has open. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const name = `test-store-command-${process.pid}`;
let store: Store;

beforeAll(async () => {
  const label = 'the test';
  store = await Store.create({ name, capacityBytes: 1_000_000, sites: true, label });
});
afterAll(() => store.close());

interface Ended {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'store', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

it('lists objects with who made them, on which line, and who holds them', async () => {
  const id = await store.put(new Uint8Array(12_345));
  using held = await store.get(id);
  const { code, stdout, stderr } = await run('ls', name, '--json');
  expect([code, stderr]).toEqual([0, '']);
  const { schemaVersion, objects } = JSON.parse(stdout);
  expect(schemaVersion).toBe(1);
  expect(objects).toHaveLength(1);
  const me = { pid: process.pid, label: 'the test' };
  expect(objects[0]).toMatchObject({ id, sizeBytes: 12_345, state: 'sealed', creator: me });
  expect(objects[0].holders).toEqual([expect.objectContaining(me)]);
  expect(objects[0].site).toMatch(/^store\.test\.ts:\d+$/);

  const text = await run('ls', name);
  expect(text.stdout).toMatch(
    new RegExp(`^${id} +12345 +uint8 12345 +sealed +the test \\(pid `, 'm'),
  );
  held.release();
  store.delete(id);
  expect((await run('ls', name)).stdout).toMatch(/: 0 objects, 0 held/);
});

it('shows a terminal no control characters of a label', async () => {
  const label = '\u001b[2J\u009b31m\u007f!';
  using other = await Store.open(name, { label });
  const producer = other.create(1);
  const text = await run('ls', name);
  expect(text.stdout).toMatch(/\?\[2J\?31m\?! \(pid /);
  expect(text.stdout).not.toMatch(/[^\P{Cc}\n]/u);
  const json = await run('ls', name, '--json');
  expect(json.stdout).not.toMatch(/[^\P{Cc}\n]/u);
  expect(JSON.parse(json.stdout).objects[0].creator.label).toBe(label);
  producer.abort();
});

it('finds a store beside one that is damaged', async () => {
  using damaged = await Store.create({ name: `${name}-damaged`, capacityBytes: 4096 });
  const file = openSync(damaged.path, 'r+');
  // What the header says of objects that were ever made.
  writeSync(file, new Uint32Array([0xffff_ffff]), 0, 4, 4096 + 24);
  closeSync(file);
  expect(() => damaged.stats()).toThrow(expect.objectContaining({ code: 'ERR_CORRUPT' }));
  // Other programs may have stores too.
  const { stdout, stderr } = await run('ls');
  expect(stdout + stderr).toMatch(new RegExp(`${name}\\b(?!-damaged)`));
});

it('prints the three sizes', async () => {
  const producer = store.create(10_000);
  const { code, stdout } = await run('stats', name, '--json');
  expect(code).toBe(0);
  const { stats } = JSON.parse(stdout);
  expect(stats).toMatchObject({ capacityBytes: 1_003_520, liveBytes: 10_000, objects: 1 });
  expect(stats.residentBytes).toBeGreaterThanOrEqual(stats.arenaBytes);
  producer.abort();
  expect((await run('stats', name)).stdout).toMatch(/live objects +0\.00 MB +0 objects/);
});

it('deletes by id, and with --all what nobody holds', async () => {
  const [one, two, three] = [
    await store.put(new Uint8Array(1)),
    await store.put(new Uint8Array(2)),
    await store.put(new Uint8Array(3)),
  ];
  using held = await store.get(three);
  expect(await run('rm', name, String(one))).toMatchObject({
    code: 0,
    stdout: `store ${name}: deleted ${one}\n`,
  });
  const all = await run('rm', name, '--all', '--json');
  expect(JSON.parse(all.stdout)).toMatchObject({ deleted: [two] });
  expect(store.list().map((info) => info.id)).toEqual([three]);
  expect(held.bytes).toEqual(new Uint8Array(3));
  expect(await run('rm', name, String(one))).toMatchObject({ code: 1, stdout: '' });
});

it('says what is wrong in one line', async () => {
  const absent = await run('ls', `${name}-absent`);
  expect(absent.code).toBe(1);
  expect(absent.stderr).toMatch(
    new RegExp(`^memdrift: there is no store ${name}-absent; there are: .*${name}.*\\n$`),
  );
  expect((await run('rm', name)).code).toBe(2);
  expect((await run('rm', name, 'x')).stderr).toMatch(/^memdrift: x is no object id/);
  expect((await run('ls', 'a/b')).stderr).toMatch(/^memdrift: .*a\/b.* is not allowed/);
});
