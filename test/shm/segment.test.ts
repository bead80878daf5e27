import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Segment } from '../../src/shm/segment.ts';
import {
  answering,
  leftOf,
  OtherProcess,
  packageUrl,
  silent,
  startedWorker,
  waiting,
} from './processes.ts';

const name = `segment-test-${process.pid}`;
const path = `/dev/shm/memdrift.${name}`;
const others: OtherProcess[] = [];
const nodeMajor = Number(process.versions.node.split('.')[0]);

afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
  rmSync(path, { force: true, recursive: true });
});

/** A process that runs `code`, once it has said its first line. */
async function started(code: string, nodeOptions: readonly string[] = []): Promise<OtherProcess> {
  const other = new OtherProcess(code, nodeOptions);
  others.push(other);
  await other.line();
  return other;
}

function answerer(): OtherProcess {
  const other = new OtherProcess(answering);
  others.push(other);
  return other;
}

function code(value: string): unknown {
  return expect.objectContaining({ name: 'MemdriftError', code: value });
}

const create = (...size: number[]) =>
  Segment.create({ name, sizeBytes: size.length === 0 ? 8192 : (size[0] as number) });
const openFiles = () => readdirSync('/proc/self/fd').length;
const ownMappings = () =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes(path)).length;

describe('a segment', () => {
  test('is memory of zeros that every attachment shares, here and in other processes', async () => {
    using made = create(10_000);
    expect([made.name, made.path, made.sizeBytes]).toEqual([name, path, 10_000]);
    expect(made.buffer.byteLength).toBe(10_000);
    const bytes = new Uint8Array(made.buffer);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    using opened = Segment.open(name);
    expect(opened.buffer).not.toBe(made.buffer);
    bytes[9_999] = 42;
    expect(new Uint8Array(opened.buffer)[9_999]).toBe(42);
    const peer = answerer();
    expect(await peer.ask(`s = m.Segment.open('${name}'), new Uint8Array(s.buffer)[9999]++`)).toBe(
      '42',
    );
    expect(bytes[9_999]).toBe(43);
  });

  test('is a file of this user only, all of whose pages are there', () => {
    const before = process.umask(0o777);
    using made = create(1_000_000);
    process.umask(before);
    const status = statSync(made.path);
    expect(status.mode).toBe(0o100600);
    expect(status.size).toBe(4096 + 1_000_000);
    expect(status.blocks * 512).toBe(4096 + 245 * 4096);
  });

  test('has one ArrayBuffer while it is open', () => {
    using made = create();
    expect(made.buffer).toBe(made.buffer);
  });

  test('is listed with its size, its pages and its kind', () => {
    using made = create(10_000);
    expect(Segment.list().find((one) => one.name === name)).toEqual({
      name,
      path,
      kind: 'segment',
      inode: BigInt(statSync(made.path).ino),
      sizeBytes: 10_000,
      residentBytes: 4 * 4096,
    });
  });

  test('does not add to what V8 counts as external memory', () => {
    const before = process.memoryUsage();
    using made = create(64 << 20);
    expect(made.buffer.byteLength).toBe(64 << 20);
    const { external, arrayBuffers } = process.memoryUsage();
    expect(external - before.external).toBeLessThan(1 << 20);
    expect(arrayBuffers - before.arrayBuffers).toBeLessThan(1 << 20);
  });
});

describe('what is refused', () => {
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '10', undefined, 10n])(
    'a size of %s',
    (sizeBytes) => {
      expect(() => create(sizeBytes as number)).toThrow(code('ERR_INVALID'));
    },
  );

  test.each(['', '.', '..', 'a/b', '../a', 'a b', 'a\0b', 'a\n', 'ä', 'a'.repeat(201), 7, null])(
    'the name %j',
    (bad) => {
      const given = bad as string;
      expect(() => Segment.create({ name: given, sizeBytes: 1 })).toThrow(code('ERR_INVALID'));
      expect(() => Segment.open(given)).toThrow(code('ERR_INVALID'));
      expect(() => Segment.unlink(given)).toThrow(code('ERR_INVALID'));
    },
  );

  test('a name that is taken, and one that is gone, by saying so', () => {
    expect(() => Segment.open(name)).toThrow(code('ERR_GONE'));
    expect(() => Segment.unlink(name)).toThrow(code('ERR_GONE'));
    using made = create();
    expect(() => create()).toThrow(code('ERR_EXISTS'));
    expect(made.buffer.byteLength).toBe(8192);
  });

  test('what is no segment: it is neither opened, nor followed, nor replaced, nor swept', () => {
    const folder = mkdtempSync('/tmp/memdrift-segment-');
    const target = join(folder, 'target');
    writeFileSync(target, 'precious');
    const makers = [
      () => writeFileSync(path, 'x'.repeat(8192)),
      () => writeFileSync(path, ''),
      () => symlinkSync(target, path),
      () => symlinkSync('/nowhere', path),
      () => mkdirSync(path),
    ];
    for (const make of makers) {
      make();
      expect(() => Segment.open(name)).toThrow(code('ERR_MALFORMED'));
      expect(() => create()).toThrow(code('ERR_EXISTS'));
      expect(Segment.sweep()).not.toContain(name);
      expect(Segment.list().map((one) => one.name)).not.toContain(name);
      expect(leftOf(name)).toHaveLength(1);
      rmSync(path, { recursive: true });
    }
    expect(readFileSync(target, 'utf8')).toBe('precious');
    rmSync(folder, { recursive: true });
  });

  test('a truncated segment, at every length, by an error and never by SIGBUS', async () => {
    // In another process, because SIGBUS would end this one.
    using made = create();
    const peer = answerer();
    for (let size = 4096 + 8191; size >= 0; size -= 997) {
      truncateSync(made.path, size);
      expect(
        await peer.ask(`codeOf(() => new Uint8Array(m.Segment.open('${name}').buffer)[0])`),
      ).toBe('ERR_MALFORMED');
    }
  });

  test('more than /dev/shm has, before anything is touched', () => {
    const { blocks, bsize } = statfsSync('/dev/shm');
    const sizeBytes = blocks * bsize + 1;
    const tooLong = nodeMajor < 22 && sizeBytes > 2 ** 32;
    expect(() => create(sizeBytes)).toThrow(code(tooLong ? 'ERR_TOO_LARGE' : 'ERR_FULL'));
    expect(leftOf(name)).toEqual([]);
  });

  test('a segment that is longer than an ArrayBuffer of Node 20', () => {
    if (nodeMajor >= 22) return;
    expect(() => create(2 ** 32 + 1)).toThrow(code('ERR_TOO_LARGE'));
    // Made by a later Node, on the same machine.
    const header = Buffer.alloc(24);
    header.write('mmdrift1');
    header.writeUInt32LE(3, 8);
    header.writeUInt32LE(1, 12);
    header.writeBigUInt64LE(2n ** 32n + 4096n, 16);
    writeFileSync(path, header, { mode: 0o600 });
    truncateSync(path, 2 ** 32 + 2 * 4096);
    const before = openFiles();
    expect(() => Segment.open(name)).toThrow(code('ERR_TOO_LARGE'));
    expect(openFiles()).toBe(before);
  });
});

describe('close', () => {
  test('detaches every view of it, after which calls fail', () => {
    const made = create();
    const { buffer } = made;
    const view = new Uint8Array(buffer);
    made.close();
    expect([buffer.byteLength, view.length, view[0]]).toEqual([0, 0, undefined]);
    expect(() => made.buffer).toThrow(code('ERR_CLOSED'));
    made.close();
    made[Symbol.dispose]();
  });

  test('leaves other attachments alone, until the last one out removes the file', () => {
    const made = create();
    const opened = Segment.open(name);
    const bytes = new Uint8Array(opened.buffer);
    made.close();
    bytes[0] = 1;
    expect([bytes.length, leftOf(name).length]).toEqual([8192, 1]);
    opened.close();
    expect(leftOf(name)).toEqual([]);
  });

  test('by the last of two processes removes the file, in whatever order, 100 times', async () => {
    const peer = answerer();
    for (let round = 0; round < 100; round++) {
      const made = create();
      await peer.ask(`s = m.Segment.open('${name}'), s.buffer, 'open'`);
      const closed = peer.ask(
        `await new Promise((r) => setTimeout(r, ${Math.random() * 3})), s.close() ?? 'closed'`,
      );
      await sleep(Math.random() * 3);
      made.close();
      expect(await closed).toBe('closed');
      expect(leftOf(name), `round ${round}`).toEqual([]);
    }
  });

  test('gives everything back: 1,000 in a row leave no file, descriptor or mapping', () => {
    create().close();
    const before = openFiles();
    for (let round = 0; round < 1000; round++) {
      using made = create();
      new Uint8Array(made.buffer)[round] = 1;
      if (round === 500) expect(ownMappings()).toBe(1);
    }
    expect([openFiles(), ownMappings(), leftOf(name)]).toEqual([before, 0, []]);
  });

  test('unlink takes the name away, not the memory', () => {
    using made = create();
    Segment.unlink(name);
    expect(leftOf(name)).toEqual([]);
    new Uint8Array(made.buffer)[0] = 1;
    using other = create();
    expect(new Uint8Array(other.buffer)[0]).toBe(0);
    made.close();
    expect(leftOf(name)).toHaveLength(1);
  });
});

describe('a segment that is dropped', () => {
  test('lives as long as its buffer is reached, and is closed after', async () => {
    const peer = await started(
      `const make = () => m.Segment.create({ name: '${name}', sizeBytes: 8 });
       let bytes = (() => new Uint8Array(make().buffer))();
      const collect = async () => {
        for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)); }
      };
      await collect();
      console.log(String(bytes.length));
      bytes = null;
      await collect();
      console.log('collected');
      setInterval(() => {}, 1000);`,
      ['--expose-gc'],
    );
    // Its first line, 8, has been read by now; the file was there at least until then.
    expect(await peer.line()).toBe('collected');
    expect(leftOf(name)).toEqual([]);
  });

  test('does not take its memory away from under a view', async () => {
    const peer = await started(
      `const make = () => m.Segment.create({ name: '${name}', sizeBytes: 8 });
       let bytes = (() => new Uint8Array(make().buffer))();
      for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)); }
      console.log('dropped'); console.log(String(bytes.length)); setInterval(() => bytes, 1000);`,
      ['--expose-gc'],
    );
    expect(await peer.line()).toBe('8');
    expect(leftOf(name)).toHaveLength(1);
  });
});

describe('processes that end', () => {
  const holding = `const s = m.Segment.create({ name: '${name}', sizeBytes: 8192 }); s.buffer;`;

  test.each([
    ['by process.exit()', `process.exit(0)`, 0],
    ['by an uncaught exception', `throw new Error('expected')`, 1],
    ['by coming to their end', `process.stdin.unref?.()`, 0],
  ])('%s leave nothing', async (_how, end, exitCode) => {
    const peer = await started(
      `${silent}${waiting}${holding} console.log('ready');
       await go(); process.stdin.pause(); ${end}`,
    );
    expect(leftOf(name)).toHaveLength(1);
    peer.go();
    const ended = await peer.ended();
    expect([ended, leftOf(name)]).toEqual([exitCode, []]);
  });

  test('by SIGKILL leave a file that the next create removes, also two at once', async () => {
    const owner = await started(`${holding} console.log('ready'); setInterval(() => {}, 1000)`);
    const holder = answerer();
    await holder.ask(`s = m.Segment.open('${name}'), 'open'`);
    owner.child.kill('SIGKILL');
    holder.child.kill('SIGKILL');
    await Promise.all([owner.ended(), holder.ended()]);
    expect(leftOf(name)).toHaveLength(1);
    using other = Segment.create({ name: `${name}-other`, sizeBytes: 1 });
    expect(leftOf(name)).toEqual([`memdrift.${other.name}`]);
  });

  test('do not take a segment from those who live', async () => {
    const owner = await started(`${holding} console.log('ready'); setInterval(() => {}, 1000)`);
    const holder = answerer();
    await holder.ask(`s = m.Segment.open('${name}'), view = new Uint8Array(s.buffer), 'open'`);
    await owner.kill();
    expect(Segment.sweep()).not.toContain(name);
    expect(() => create()).toThrow(code('ERR_EXISTS'));
    expect(await holder.ask('view[8191] = 7')).toBe('7');
    expect(await holder.ask("s.close() ?? 'closed'")).toBe('closed');
    expect(leftOf(name)).toEqual([]);
  });
});

describe('workers', () => {
  test('have an attachment and a mapping of their own', async () => {
    using made = create();
    const bytes = new Uint8Array(made.buffer);
    const other = await startedWorker(`
      const s = m.Segment.open('${name}');
      new Uint8Array(s.buffer)[0] = 5;
      parentPort.postMessage('written');
      parentPort.once('message', () => { s.close(); parentPort.postMessage('closed'); });`);
    expect([bytes[0], ownMappings()]).toEqual([5, 2]);
    other.postMessage('close');
    await once(other, 'message');
    expect(ownMappings()).toBe(1);
    bytes[1] = 1;
    await other.terminate();
  });

  test('that are terminated detach: nothing is left, 20 times', async () => {
    const before = openFiles();
    for (let round = 0; round < 20; round++) {
      const ended = await startedWorker(`
        const s = m.Segment.create({ name: '${name}', sizeBytes: 8192 });
        globalThis.keep = [s, s.buffer];
        parentPort.postMessage('open');
        setInterval(() => {}, 1000);`);
      expect(leftOf(name)).toHaveLength(1);
      await ended.terminate();
      expect([leftOf(name), ownMappings()]).toEqual([[], 0]);
    }
    expect(openFiles()).toBeLessThanOrEqual(before + 2);
  });

  test('that still hold a segment when process.exit() is called leave nothing', async () => {
    const peer = await started(`
      import { Worker } from 'node:worker_threads';
      globalThis.keep = m.Segment.create({ name: '${name}', sizeBytes: 8192 });
      const other = new Worker(
        "import(require('node:worker_threads').workerData).then((m) => {" +
        " globalThis.s = m.Segment.open('${name}'); setInterval(() => s.buffer[0], 1);" +
        " require('node:worker_threads').parentPort.postMessage('open'); })",
        { eval: true, execArgv: [], workerData: '${packageUrl}' });
      other.once('message', (text) => console.log(text));
      process.stdin.once('data', () => process.exit(0));`);
    expect(leftOf(name)).toHaveLength(1);
    peer.go();
    await peer.ended();
    expect(leftOf(name)).toEqual([]);
  });
});
