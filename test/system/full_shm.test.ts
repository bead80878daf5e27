/** /dev/shm that is small, full, or has files of another user: in a mount namespace of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { packageUrl } from '../shm/processes.ts';

const prelude = `
  const { Flag, Segment, Store } = await import(${JSON.stringify(packageUrl)});
  const fs = await import('node:fs');
  const { execFileSync } = await import('node:child_process');
  const MiB = 1 << 20;
  const codeOf = (call) => {
    try { call(); return 'ok'; } catch (error) { return error.code + ' ' + error.message; }
  };
  const create = (name, sizeBytes) => Segment.create({ name, sizeBytes });
  const freeBytes = () => { const s = fs.statfsSync('/dev/shm'); return s.bavail * s.bsize; };
`;

/** Runs `script` with a small /dev/shm that nobody else sees; gives the JSON that it prints. */
async function inSmallShm(script: string, sizeMiB = 8): Promise<Record<string, unknown>> {
  const child = spawn(
    'unshare',
    [
      '--mount',
      '--propagation=private',
      'sh',
      '-c',
      `mount -t tmpfs -o size=${sizeMiB}m,mode=1777 tmpfs /dev/shm && exec "$@"`,
      'sh',
      process.execPath,
      '--input-type=module',
      '-e',
      `${prelude}${script}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code, signal] = await once(child, 'close');
  expect([code, signal]).toEqual([0, null]);
  return JSON.parse(text) as Record<string, unknown>;
}

describe('a /dev/shm that is too small', () => {
  it('refuses with ERR_FULL, with the numbers, before anything is touched', async () => {
    const said = await inSmallShm(`
      const before = freeBytes();
      const larger = codeOf(() => create('a', 9 * MiB));
      const first = create('b', 6 * MiB);
      const between = freeBytes();
      const second = codeOf(() => create('c', 3 * MiB));
      const fits = create('d', MiB);
      fits.close();
      console.log(JSON.stringify({
        larger, second, unchanged: freeBytes() === between, files: fs.readdirSync('/dev/shm'),
      }));
      first.close();`);
    expect(said.larger).toMatch(/^ERR_FULL .*9441280 bytes.*8388608 in all/);
    expect(said.second).toMatch(/^ERR_FULL .*full: 3145728 bytes.*2088960 are free/);
    expect(said).toMatchObject({ unchanged: true, files: ['memdrift.b'] });
  });

  it('refuses a flag that has no page left, and never ends a process by SIGBUS', async () => {
    const said = await inSmallShm(`
      const segment = create('a', 4 * MiB);
      const flag = Flag.create('f');
      fs.writeFileSync('/dev/shm/filler', Buffer.alloc(freeBytes()));
      const full = codeOf(() => Flag.create('g'));
      new Uint8Array(segment.buffer).fill(1);
      flag.post();
      const taken = flag.tryWait();
      execFileSync('fallocate', ['--punch-hole', '--offset', '4096', '--length', '2MiB',
        '/dev/shm/memdrift.a']);
      fs.appendFileSync('/dev/shm/filler', Buffer.alloc(freeBytes()));
      const holed = Segment.open('a');
      const refused = codeOf(() => new Uint8Array(holed.buffer).fill(2));
      fs.truncateSync('/dev/shm/filler', 0);
      const filled = codeOf(() => new Uint8Array(holed.buffer).fill(2));
      console.log(JSON.stringify({ full, taken, refused, filled }));`);
    expect(said.full).toMatch(/^ERR_FULL /);
    expect(said.refused).toMatch(/^ERR_FULL /);
    expect(said).toMatchObject({ taken: true, filled: 'ok' });
  });
});

/** The table of a store is 16 MiB, of which few pages are ever touched. */
const storeShmMiB = 32;

describe('a store in a /dev/shm that is full', () => {
  it('refuses a put with ERR_FULL, loses nothing, and takes it once there is room', async () => {
    const said = await inSmallShm(
      `
      const failure = (promise) => promise.then(() => 'ok', (e) => e.code + ' ' + e.message);
      const store = await Store.create({ name: 's', capacityBytes: 7 * MiB, keepBytes: 2 ** 40 });
      const kept = await store.put(new Uint8Array(2 * MiB).fill(1));
      fs.writeFileSync('/dev/shm/filler', Buffer.alloc(freeBytes() - MiB));
      const before = store.stats();
      const refused = await failure(store.put(new Uint8Array(3 * MiB).fill(2)));
      const created = codeOf(() => store.create(3 * MiB));
      const after = store.stats();
      const small = await failure(store.put(new Uint8Array(MiB / 2).fill(3)));
      fs.truncateSync('/dev/shm/filler', 0);
      const late = await store.put(new Uint8Array(3 * MiB).fill(4));
      const whole = async (id, byte) => (await store.get(id)).bytes.every((b) => b === byte);
      console.log(JSON.stringify({
        refused, created, small, kept: await whole(kept, 1), late: await whole(late, 4),
        unchanged: before.objects === after.objects && before.residentBytes === after.residentBytes,
      }));
      store.close();`,
      storeShmMiB,
    );
    expect(said.refused).toMatch(/^ERR_FULL .*full/);
    expect(said.created).toMatch(/^ERR_FULL .*full/);
    expect(said).toMatchObject({ small: 'ok', kept: true, late: true, unchanged: true });
  });

  it.each([
    ['the whole arena', false],
    ['each object', true],
  ])('refuses what takes pages and does all else, mapping %s', async (_what, mapEach) => {
    const said = await inSmallShm(
      `
      const store = await Store.create({ name: 's', capacityBytes: 8 * MiB, mapEach: ${mapEach} });
      const said = {};
      const say = async (name, call) => {
        try { await call(); said[name] = 'ok'; } catch (error) { said[name] = error.code; }
      };
      const ids = [];
      for (let i = 0; i < 10; i++) ids.push(await store.put(new Uint8Array(4096).fill(i)));
      fs.writeFileSync('/dev/shm/filler', Buffer.alloc(freeBytes()));
      const other = await Store.open('s');
      await say('createAsync', () => store.createAsync(MiB));
      await say('put', () => store.put(new Uint8Array(MiB)));
      await say('create', () => store.create(1));
      await say('Store.create', () => Store.create({ name: 't', capacityBytes: MiB }));
      const writes = [];
      for (const [i, id] of ids.entries()) {
        const object = await other.get(id);
        // Pages of its own: those are of memory, not of /dev/shm.
        object.bytes.fill(99);
        object.release();
        const again = await store.get(id);
        writes.push(again.bytes.every((b) => b === i));
        again.release();
      }
      said.read = writes.every(Boolean) ? 'ok' : 'wrong';
      // In the place of what is deleted there are pages.
      store.delete(ids[9]);
      await say('list', () => [store.list(), store.stats()]);
      said.kept = String(store.stats().objects);
      const made = [];
      await say('in warm room', async () => { made.push(await other.put(new Uint8Array(4096))); });
      // Slots need a page now and then, too.
      for (let i = 0; i < 40; i++) await other.put(new Uint8Array(4096)).catch(() => {});
      fs.truncateSync('/dev/shm/filler', 0);
      for (let i = 0; i < 40; i++) made.push(await other.put(new Uint8Array(4096).fill(i)));
      said.late = String(made.length);
      other.close();
      store.close();
      console.log(JSON.stringify({ ...said, files: fs.readdirSync('/dev/shm') }));`,
      storeShmMiB,
    );
    expect(said).toEqual({
      ...{ createAsync: 'ERR_FULL', put: 'ERR_FULL', create: 'ERR_FULL' },
      ...{ 'Store.create': 'ERR_FULL', read: 'ok', list: 'ok', kept: '9' },
      ...{ 'in warm room': 'ok', late: '41', files: ['filler'] },
    });
  });

  it('gives back the free room it kept warm before it refuses', async () => {
    const said = await inSmallShm(
      `
      const store = await Store.create({ name: 's', capacityBytes: 7 * MiB, keepBytes: 2 ** 40 });
      const low = await store.put(new Uint8Array(MiB).fill(1));
      const high = await store.put(new Uint8Array(4 * MiB).fill(2));
      store.delete(low);
      store.delete(high);
      const only = await store.put(new Uint8Array(MiB / 2).fill(3));
      fs.writeFileSync('/dev/shm/filler', Buffer.alloc(freeBytes()));
      const room = codeOf(() => Segment.create({ name: 'x', sizeBytes: MiB }));
      const given = await store.giveBack(0);
      const after = codeOf(() => Segment.create({ name: 'x', sizeBytes: MiB }).close());
      const intact = (await store.get(only)).bytes.every((b) => b === 3);
      console.log(JSON.stringify({ room, given, after, intact }));
      store.close();`,
      storeShmMiB,
    );
    expect(said.room).toMatch(/^ERR_FULL /);
    expect(said.given).toBeGreaterThanOrEqual(4 << 20);
    expect(said).toMatchObject({ after: 'ok', intact: true });
  });
});

describe("another user's segment", () => {
  it('is neither opened, replaced, removed nor swept', async () => {
    const said = await inSmallShm(`
      const open = create('a', MiB);
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      const asNobody = (text) => execFileSync('setpriv', [...nobody, process.execPath,
        '--input-type=module', '-e', text], { encoding: 'utf8' });
      const url = JSON.stringify(${JSON.stringify(packageUrl)});
      const orphan = "import(" + url + ").then(({ Segment }) => {" +
        " Segment.create({ name: 'theirs', sizeBytes: 1 });" +
        " process.kill(process.pid, 'SIGKILL'); })";
      try { asNobody(orphan); } catch {}
      const swept = Segment.sweep();
      const rootOpens = codeOf(() => Segment.open('theirs'));
      const both = fs.readdirSync('/dev/shm').sort();
      const tries = JSON.parse(asNobody(${JSON.stringify(`${prelude}
        console.log(JSON.stringify({
          open: codeOf(() => Segment.open('a')),
          create: codeOf(() => create('a', 1)),
          unlink: codeOf(() => Segment.unlink('a')),
          swept: Segment.sweep(),
          listed: Segment.list().map((one) => one.name),
        }));`)}));
      const files = fs.readdirSync('/dev/shm');
      console.log(JSON.stringify({ swept, rootOpens, both, tries, files }));`);
    expect(said).toMatchObject({ swept: [], both: ['memdrift.a', 'memdrift.theirs'] });
    expect(said.files).toEqual(['memdrift.a']);
    expect(said.tries).toMatchObject({
      open: expect.stringMatching(/^ERR_DENIED /),
      create: expect.stringMatching(/^ERR_EXISTS /),
      unlink: expect.stringMatching(/^ERR_DENIED /),
    });
    expect(said.rootOpens).toMatch(/^ERR_DENIED /);
  });
});
