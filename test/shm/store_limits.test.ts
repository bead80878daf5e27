/** Stores of a process without address space left, and beside one that is stopped. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { answering, freshName, leftOf, OtherProcess, saidBy } from './processes.ts';

const megabyte = 1_000_000;
const others: OtherProcess[] = [];

function started(code: string): OtherProcess {
  const other = new OtherProcess(code);
  others.push(other);
  return other;
}

afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
});

describe('a process without address space left', () => {
  it('is told so by the call that needs some, which holds nothing then', async () => {
    const name = freshName('limits');
    const said = await saidBy(`
      const options = { name: '${name}', capacityBytes: 8e8, mapEach: true };
      const s = await m.Store.create(options);
      // Kept, or a collection in between makes room.
      globalThis.first = new Uint8Array(2e8).fill(1);
      const id = await s.put(globalThis.first);
      const small = await s.put(new Uint8Array(1000).fill(2));
      const bytes = new Uint8Array(3e8);
      const status = readFileSync('/proc/self/status', 'utf8');
      const sizeBytes = Number(/VmSize:\\s+(\\d+)/.exec(status)[1]) * 1024;
      limit('--as=' + (sizeBytes + 100e6) + ':');
      await say('get', () => s.get(id));
      await say('create', () => s.create(2e8));
      await say('createAsync', () => s.createAsync(2e8));
      await say('put', () => s.put(bytes));
      await say('small get', async () => (await s.get(small)).release());
      await say('small put', async () => s.delete(await s.put(new Uint8Array(1000))));
      await say('list', () => s.list());
      await say('delete', () => s.delete(small));
      said.held = JSON.stringify(s.list().map((one) => [one.state, one.holders.length]));
      limit('--as=unlimited:');
      await say('late get', async () => {
        const o = await s.get(id);
        if (!Buffer.alloc(2e8, 1).equals(o.bytes)) throw new Error('a wrong byte');
        o.release();
      });
      await say('late put', () => s.put(bytes));
      s.close()`);
    const refused = expect.stringMatching(/^ERR_NO_MEMORY: .*bytes/);
    expect(said).toEqual({
      ...{ get: refused, create: refused, createAsync: refused, put: refused },
      ...{ 'small get': 'ok', 'small put': 'ok', list: 'ok', delete: 'ok' },
      held: '[["sealed",0]]',
      ...{ 'late get': 'ok', 'late put': 'ok' },
    });
    expect(leftOf(name)).toEqual([]);
  });
});

/** Stops or continues a process, and waits until it is so. */
function signal(other: OtherProcess, name: 'SIGSTOP' | 'SIGCONT'): void {
  other.child.kill(name);
  const isStopped = () => /\) T /.test(readFileSync(`/proc/${other.child.pid}/stat`, 'latin1'));
  while (isStopped() !== (name === 'SIGSTOP')) execFileSync('true');
}

describe('a client that is stopped', () => {
  it('keeps what it holds and what it fills, and no more, and goes on with both', async () => {
    using store = await Store.create({ name: freshName('stopped'), capacityBytes: 20 * megabyte });
    const id = await store.put(new Uint8Array(5 * megabyte).fill(1));
    const other = started(answering);
    await other.ask(`s = await m.Store.open('${store.name}')`);
    await other.ask(`view = await s.get(${id})`);
    const unsealed = Number(await other.ask(`(globalThis.p = s.create(${5 * megabyte})).id`));
    signal(other, 'SIGSTOP');
    store.delete(id);
    expect(store.list()).toMatchObject([{ id, state: 'deleted' }, { id: unsealed }]);
    expect(() => store.create(11 * megabyte)).toThrow(
      expect.objectContaining({ code: 'ERR_FULL' }),
    );
    for (let round = 0; round < 20; round++) {
      const bytes = Buffer.alloc(9 * megabyte, round);
      const mine = await store.put(bytes);
      using object = await store.get(mine);
      expect(Buffer.compare(object.bytes, bytes)).toBe(0);
      store.delete(mine);
    }
    signal(other, 'SIGCONT');
    expect(await other.ask(`Buffer.alloc(${5 * megabyte}, 1).equals(view.bytes)`)).toBe('true');
    expect(await other.ask('(p.bytes.fill(3), p.seal(), view.release(), 4)')).toBe('4');
    using made = await store.get(unsealed);
    expect(Buffer.alloc(5 * megabyte, 3).equals(made.bytes)).toBe(true);
    expect(store.list()).toMatchObject([{ id: unsealed, state: 'sealed' }]);
  });

  it('in the lock makes others say ERR_BUSY, read on, and go on when it does', async () => {
    using store = await Store.create({ name: freshName('stopped'), capacityBytes: 50 * megabyte });
    const id = await store.put(new Uint8Array(megabyte).fill(1));
    // Each look for room takes a while with so many slots: nearly always it is in the lock.
    await Promise.all(Array.from({ length: 8000 }, () => store.put(new Uint8Array(1))));
    const other = started(`const s = await m.Store.open('${store.name}'); console.log('makes');
      for (;;) s.create(1).abort();`);
    await other.line();
    const codeOf = async (call: () => unknown) => {
      try {
        await call();
        return 'ok';
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    const create = () => codeOf(() => store.create(1).abort());
    signal(other, 'SIGSTOP');
    while ((await create()) === 'ok') {
      signal(other, 'SIGCONT');
      signal(other, 'SIGSTOP');
    }
    expect(await create()).toBe('ERR_BUSY');
    expect(await Promise.all([codeOf(() => store.giveBack(0)), codeOf(openAgain)])).toEqual([
      'ERR_BUSY',
      'ERR_BUSY',
    ]);
    async function openAgain(): Promise<void> {
      (await Store.open(store.name)).close();
    }
    // What exists is read, listed, deleted and released without the lock.
    const object = await store.get(id);
    expect(Buffer.alloc(megabyte, 1).equals(object.bytes)).toBe(true);
    store.delete(id);
    object.release();
    expect(store.list().length).toBe(8000);
    const putting = codeOf(() => store.put(new Uint8Array(1)));
    signal(other, 'SIGCONT');
    expect(await putting).toBe('ok');
    await other.kill();
    expect(await create()).toBe('ok');
    expect(await codeOf(openAgain)).toBe('ok');
    expect(store.stats()).toMatchObject({ clients: 1, objects: 8001 });
  });
});
