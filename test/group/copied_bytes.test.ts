/** What a consumer writes into its view is its own: others read what was sealed; ps counts it. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { answering, freshName, OtherProcess } from '../shm/processes.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const pageBytes = 4096;
const megabyte = 1_000_000;

interface Holder {
  pid: number;
  copiedBytes: number;
}

/** What `memdrift ps --json` says that a process has copied of a store's pages. */
function copiedBytes(store: Store, pids: number[]): number[] {
  const args = [cli, 'ps', '--json', ...pids.map(String)];
  const { segments } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  const named = segments.filter((one: { name: string }) => one.name === store.path);
  expect(named).toHaveLength(1);
  const { holders } = named[0] as { holders: Holder[] };
  return pids.map((pid) => holders.find((one) => one.pid === pid)?.copiedBytes ?? Number.NaN);
}

describe('a write to a view', { timeout: 60_000 }, () => {
  const others: OtherProcess[] = [];
  afterEach(async () => {
    for (const other of others.splice(0)) await other.kill();
  });
  const started = (): OtherProcess => {
    const other = new OtherProcess(answering);
    others.push(other);
    return other;
  };

  it.each([
    ['the whole arena', false],
    ['each object', true],
  ])('is counted by ps as copied, and nobody else sees it: mapping %s', async (_what, mapEach) => {
    const sizeBytes = 10 * megabyte;
    using store = await Store.create({ name: freshName('copied'), capacityBytes: 2 * sizeBytes });
    const id = await store.put(new Uint8Array(sizeBytes).fill(5));
    const [writer, reader] = [started(), started()];
    const pids = [process.pid, writer.child.pid as number, reader.child.pid as number];
    const options = JSON.stringify({ mapEach });
    const isSealed = `Buffer.alloc(${sizeBytes}, 5).equals(view.bytes)`;
    for (const one of [writer, reader]) {
      await one.ask(`s = await m.Store.open('${store.name}', ${options})`);
      await one.ask(`view = await s.get(${id})`);
      expect(await one.ask(isSealed)).toBe('true');
    }
    expect(copiedBytes(store, pids)).toEqual([0, 0, 0]);

    // Not at the start of a page, nor to the end of one.
    const [from, to] = [megabyte + 1, 7 * megabyte + 1];
    await writer.ask(`void view.bytes.fill(9, ${from}, ${to})`);
    const written = `Buffer.alloc(${to - from}, 9).equals(view.bytes.subarray(${from}, ${to}))`;
    expect(await writer.ask(written)).toBe('true');
    expect(await reader.ask(isSealed)).toBe('true');
    using mine = await store.get(id);
    expect(Buffer.alloc(sizeBytes, 5).equals(mine.bytes)).toBe(true);
    const pages = Math.ceil(to / pageBytes) - Math.floor(from / pageBytes);
    expect(copiedBytes(store, pids)).toEqual([0, pages * pageBytes, 0]);

    await writer.ask('view.release()');
    expect(copiedBytes(store, pids)).toEqual([0, 0, 0]);
    await writer.ask(`view = await s.get(${id})`);
    expect(await writer.ask(isSealed)).toBe('true');
  });
});
