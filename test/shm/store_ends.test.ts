/** Processes that end in the middle of their work with a store, in each way that Node knows. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { freshName, leftOf, OtherProcess, silent } from './processes.ts';

const megabyte = 1_000_000;

/** A process with objects held, half filled and in flight in two stores, that then does `end`. */
function busyProcess(shared: string, own: string, end: string): OtherProcess {
  return new OtherProcess(`${silent}
    const s = await m.Store.open('${shared}');
    const o = await m.Store.create({ name: '${own}', capacityBytes: 1e8 });
    const [{ id }] = s.list();
    const kept = [];
    for (const store of [s, o]) {
      kept.push(store.create(${megabyte}), await store.createAsync(${megabyte}));
      kept[kept.length - 1].bytes.fill(1);
      kept.push(await store.get(await store.put(new Uint8Array(1000))));
      store.delete(kept[kept.length - 1].id);
    }
    kept.push(await s.get(id));
    kept.push(await s.get(id));
    kept[kept.length - 1].bytes.fill(9);
    console.log('busy');
    process.stdin.once('data', async () => {
      for (const store of [s, o]) {
        for (let i = 0; i < 20; i++) store.put(new Uint8Array(${megabyte}).fill(3)).catch(() => {});
        for (let i = 0; i < 9; i++) store.createAsync(${megabyte}).catch(() => {});
        store.giveBack(0).catch(() => {});
        m.Store.open(store.name).catch(() => {});
      }
      m.Store.create({ name: '${own}-late', capacityBytes: 1e6 }).catch(() => {});
      ${end}
    });`);
}

const ends: [string, string][] = [
  ['process.exit()', 'process.exit(7);'],
  ['process.exit() in a later turn', 'setTimeout(() => process.exit(8), 20);'],
  ['process.exit() in an exit handler', "process.on('exit', () => process.exit(9)).exit();"],
  ['an uncaught exception', "throw new Error('on purpose');"],
  ['an unhandled rejection', "Promise.reject(new Error('on purpose'));"],
  ['an exception in an exit handler', "process.on('exit', () => { throw 1; }).exit();"],
  ['coming to its end', 'process.stdin.destroy();'],
  ['SIGTERM', "process.kill(process.pid, 'SIGTERM');"],
  ['SIGKILL', "process.kill(process.pid, 'SIGKILL');"],
];

/** How a Node that has nothing of ours ends by the same code. */
function plainEnd(end: string): number | string | null {
  const code = `process.stdin.once('data', () => { ${end} });`;
  const { status, signal } = spawnSync(process.execPath, ['-e', code], { input: '\n' });
  return status ?? signal;
}

describe('a process that ends in the middle of its work', () => {
  const others: OtherProcess[] = [];
  afterEach(async () => {
    for (const other of others.splice(0)) await other.kill();
  });

  it.each(ends)('by %s ends so, and gives up what it held', async (_how, end) => {
    using store = await Store.create({ name: freshName('ends'), capacityBytes: 100 * megabyte });
    const content = new Uint8Array(3 * megabyte).fill(5);
    const id = await store.put(content);
    const own = freshName('ends-own');
    const other = busyProcess(store.name, own, end);
    others.push(other);
    await other.line();
    expect(store.stats()).toMatchObject({ clients: 2, objects: 4 });
    other.go();
    await other.ended();
    const endedBy = other.child.exitCode ?? other.child.signalCode;
    expect(endedBy).toBe(plainEnd(end));
    // What it had sealed is everybody's; nothing else of it is there.
    for (const one of store.list()) {
      expect(one).toMatchObject({ state: 'sealed', holders: [] });
      if (one.id !== id) store.delete(one.id);
    }
    expect(store.stats()).toMatchObject({ clients: 1, objects: 1, liveBytes: content.length });
    using object = await store.get(id);
    expect(Buffer.compare(object.bytes, content)).toBe(0);
    store.delete(await store.put(new Uint8Array(96 * megabyte)));
    // Nothing of ours runs at a signal: who next makes a store removes what was left.
    const wasKilled = typeof endedBy === 'string';
    if (wasKilled) (await Store.create({ name: freshName('ends'), capacityBytes: 1 })).close();
    expect(leftOf(own)).toEqual([]);
  });
});
