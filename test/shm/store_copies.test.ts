/** Two copies of the package in one process, as nested dependencies bring them. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bindingFile } from '../../src/binding.ts';
import { freshName, leftOf, OtherProcess, packageUrl } from './processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'memdrift-copy-'));
const copyUrl = new URL(`file://${folder}/dist/index.js`).href;

beforeAll(() => {
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(bindingFile(), join(folder, 'build/Release/memdrift.node'));
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Two attachments, `a` by one copy and `b` by the other; `copies` tells how many are loaded. */
const both = (name: string): string => `
  import { readFileSync } from 'node:fs';
  // Where a build is named, it is the first copy's, which is loaded now, and not the second's.
  m.Segment.list();
  delete process.env.MEMDRIFT_PREBUILD;
  const other = await import(${JSON.stringify(copyUrl)});
  const a = await m.Store.create({ name: '${name}', capacityBytes: 1e7 });
  const b = await other.Store.open('${name}');
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const copies = new Set(maps.match(/\\S+memdrift\\.node$/gm)).size;
  const say = (value) => console.log(JSON.stringify(value));
  const holders = () => a.list().map((one) => one.holders.length);
`;

function run(name: string, code: string): OtherProcess {
  return new OtherProcess(`${both(name)}${code}`);
}

describe('two copies of the package in one process', () => {
  it('share a store: what one makes the other reads, holds and deletes', async () => {
    const name = freshName('copies');
    const other = run(
      name,
      `
      const id = await a.put(new Uint8Array(50_000).fill(1));
      const byA = await a.get(id), byB = await b.get(id);
      byB.bytes.fill(2);
      say([copies, holders(), byA.bytes.every((x) => x === 1)]);
      b.delete(id);
      byA.release();
      say([holders(), byB.bytes.every((x) => x === 2)]);
      byB.release();
      say([a.stats().objects, b.stats().clients]);
      a.close();
      b.close();`,
    );
    expect(JSON.parse(await other.line())).toEqual([2, [2], true]);
    expect(JSON.parse(await other.line())).toEqual([[1], true]);
    expect(JSON.parse(await other.line())).toEqual([0, 2]);
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });

  it('put bytes of a store that the other copy closes meanwhile', async () => {
    const name = freshName('copies');
    const other = run(
      name,
      `
      const c = await m.Store.create({ name: '${name}-c', capacityBytes: 1e8 });
      const o = await c.get(await c.put(new Uint8Array(9e7).fill(7)));
      const d = await other.Store.create({ name: '${name}-d', capacityBytes: 1e8 });
      const put = d.put(o.bytes);
      c.close();
      const { bytes } = await d.get(await put);
      say([copies, bytes.length, bytes.every((x) => x === 7)]);
      for (const one of [a, b, d]) one.close();`,
    );
    expect(JSON.parse(await other.line())).toEqual([2, 9e7, true]);
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });

  it('do not lose their locks when the other closes its descriptor', async () => {
    const name = freshName('copies');
    const other = run(
      name,
      `
      import { createInterface } from 'node:readline';
      const id = await a.put(new Uint8Array(50_000).fill(1));
      const held = await a.get(id);
      const made = a.create(2_000_000);
      b.close();
      // A descriptor of the same file that is opened and closed drops all POSIX locks of a process.
      readFileSync(a.path).length;
      say('ready');
      for await (const _line of createInterface({ input: process.stdin })) break;
      made.bytes.fill(3);
      made.seal();
      say(held.bytes.every((x) => x === 1) && holders());
      process.exit(0);`,
    );
    expect(JSON.parse(await other.line())).toBe('ready');
    // Who attaches now takes over what is of dead clients, and sweeps what nobody is attached to.
    const third = new OtherProcess(`
      m.Segment.sweep();
      const s = await m.Store.open('${name}');
      await s.put(new Uint8Array(5e6));
      const [held] = s.list();
      console.log(s.stats().clients, held.holders.length, s.list()[1].state);
      s.close();`);
    expect(await third.line()).toBe('2 1 created');
    expect(await third.ended()).toBe(0);
    other.go();
    expect(JSON.parse(await other.line())).toEqual([1, 0, 0]);
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });

  it.each([
    ['its end', ''],
    ['process.exit()', 'process.exit(0);'],
  ])('leave nothing at %s, whoever attached first', async (_how, end) => {
    const name = freshName('copies');
    const other = run(
      name,
      `
      const c = await other.Store.create({ name: '${name}-c', capacityBytes: 1e6 });
      const d = await m.Store.open('${name}-c');
      globalThis.kept = [a, b, c, d, await b.get(await a.put(new Uint8Array(10))), d.create(10)];
      say(copies);
      ${end}`,
    );
    expect(await other.line()).toBe('2');
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });

  it('work in workers too, each with an attachment of its own', async () => {
    const name = freshName('copies');
    const other = run(
      name,
      `
      const worker = (url) => "import(" + JSON.stringify(url) + ").then(async (m) => {" +
        "const s = await m.Store.open('${name}'); const o = await s.get(await s.put(" +
        "new Uint8Array(1000).fill(5))); require('node:worker_threads').parentPort.postMessage(" +
        "[o.bytes.every((x) => x === 5), s.stats().clients]); })";
      const { Worker } = await import('node:worker_threads');
      const { once } = await import('node:events');
      for (const url of ${JSON.stringify([packageUrl, copyUrl])}) {
        const one = new Worker(worker(url), { eval: true, execArgv: [] });
        say((await once(one, 'message'))[0]);
        await one.terminate();
      }
      say([a.stats().clients, holders(), copies]);
      a.close();
      b.close();`,
    );
    expect(JSON.parse(await other.line())).toEqual([true, 3]);
    expect(JSON.parse(await other.line())).toEqual([true, 3]);
    expect(JSON.parse(await other.line())).toEqual([2, [0, 0], 2]);
    expect(await other.ended()).toBe(0);
    expect(leftOf(name)).toEqual([]);
  });
});
