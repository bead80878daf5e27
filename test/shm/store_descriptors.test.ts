/** Stores of a process that has no descriptor left. */
import { describe, expect, it } from 'vitest';
import { freshName, leftOf, saidBy } from './processes.ts';

describe('a process without a descriptor left', () => {
  it('goes on with the stores that it has, and is told so where it needs one', async () => {
    const name = freshName('limits');
    const said = await saidBy(`
      const s = await m.Store.create({ name: '${name}', capacityBytes: 1e8 });
      const id = await s.put(new Uint8Array(1e6).fill(1));
      const right = async () => {
        const o = await s.get(id);
        const is = o.bytes.every((b) => b === 1);
        o.bytes.fill(9);
        o.release();
        if (!is) throw new Error('a wrong byte');
      };
      // Node opens and closes some of its own.
      const ours = () => readdirSync('/proc/self/fd').filter((fd) => {
        try { return /dev.shm|pagemap/.test(readlinkSync('/proc/self/fd/' + fd)); } catch {}
      }).length;
      const before = ours();
      limit('--nofile=' + (readdirSync('/proc/self/fd').length + 20) + ':');
      const fillers = [];
      const leave = (free) => {
        try { for (;;) fillers.push(openSync('/dev/null')); } catch {}
        while (free-- > 0 && fillers.length > 0) closeSync(fillers.pop());
      };
      const calls = async (free) => {
        const sayOf = (name, call) => { leave(free); return say(free + ' ' + name, call); };
        await sayOf('get', right);
        await sayOf('get again', right);
        await sayOf('put', async () => s.delete(await s.put(new Uint8Array(2e6))));
        await sayOf('create', () => { const p = s.create(3e6); p.bytes.fill(1); p.abort(); });
        await sayOf('createAsync', async () => (await s.createAsync(4e6)).abort());
        await sayOf('seal', () => { const p = s.create(9); p.seal(); s.delete(p.id); });
        await sayOf('list', () => s.list());
        await sayOf('giveBack', () => s.giveBack(0));
        await sayOf('Store.open', async () => (await m.Store.open('${name}')).close());
        await sayOf('Store.create', async () =>
          (await m.Store.create({ name: '${name}-new', capacityBytes: 1e6 })).close());
      };
      // Each call that needs several fails at another of them.
      for (const free of [0, 1, 2, 3, 4, 5, 99]) await calls(free);
      said.left = String(ours() - before) + ' of ' + before;
      said.objects = String(s.stats().objects) + ' ' + s.list()[0].holders.length;
      s.close()`);
    const needsOne = /Store\.(open|create)$/;
    for (const [call, what] of Object.entries(said)) {
      if (call === 'left' || call === 'objects') continue;
      if (!needsOne.test(call) || call.startsWith('99')) expect([call, what]).toEqual([call, 'ok']);
      else expect([call, what]).toEqual([call, expect.stringMatching(/^ok$|^ERR_SYSTEM: .*files/)]);
    }
    expect(said['0 Store.open']).toMatch(/^ERR_SYSTEM: .*[Tt]oo many open files/);
    expect(said['0 Store.create']).toMatch(/^ERR_SYSTEM: .*[Tt]oo many open files/);
    expect(said).toMatchObject({ left: '0 of 1', objects: '1 0' });
    expect(leftOf(name)).toEqual([]);
  });
});
