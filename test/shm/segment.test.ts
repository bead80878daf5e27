import {
  closeSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { Segment } from '../../src/shm/segment.ts';
import { freshName, leftOf, OtherProcess, waiting } from './processes.ts';

const strays: string[] = [];
afterEach(() => {
  for (const path of strays.splice(0)) rmSync(path, { force: true });
});

function strayFile(name: string, bytes: Uint8Array): string {
  const path = `/dev/shm/memdrift.${name}`;
  const file = openSync(path, 'wx', 0o600);
  writeSync(file, bytes);
  closeSync(file);
  strays.push(path);
  return path;
}

describe('Segment', () => {
  it('is one memory for everybody who opens its name', () => {
    const name = freshName('segment');
    using made = Segment.create({ name, sizeBytes: 5000 });
    using opened = Segment.open(name);
    expect(opened.sizeBytes).toBe(5000);
    new Uint8Array(made.buffer)[4999] = 42;
    expect(new Uint8Array(opened.buffer)[4999]).toBe(42);
  });

  it("is the user's alone, and takes a name once", () => {
    const name = freshName('segment');
    using made = Segment.create({ name, sizeBytes: 1 });
    expect(statSync(made.path).mode & 0o777).toBe(0o600);
    expect(() => Segment.create({ name, sizeBytes: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_EXISTS' }),
    );
  });

  it('gives the same buffer while it is held, and none after close', () => {
    const segment = Segment.create({ name: freshName('segment'), sizeBytes: 100 });
    const buffer = segment.buffer;
    expect(segment.buffer).toBe(buffer);
    const view = new Uint8Array(buffer);
    segment.close();
    segment.close();
    expect(buffer.byteLength).toBe(0);
    expect(view[0]).toBeUndefined();
    expect(() => segment.buffer).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('is removed by the last one out, in whichever order they leave', async () => {
    for (const otherFirst of [true, false]) {
      const name = freshName('segment');
      const segment = Segment.create({ name, sizeBytes: 1 });
      const other = new OtherProcess(`${waiting}
        const s = m.Segment.open('${name}');
        console.log('open'); await go(); s.close(); process.exit();`);
      await other.line();
      const leaveOther = async () => {
        other.go();
        await other.ended();
      };
      const leave = [() => segment.close(), leaveOther];
      if (otherFirst) leave.reverse();
      await leave[0]?.();
      expect(leftOf(name)).toHaveLength(1);
      await leave[1]?.();
      expect(leftOf(name)).toEqual([]);
    }
  });

  it.each([
    ['process.exit', 'process.exit(0)'],
    ['an uncaught exception', 'setTimeout(() => { throw new Error("expected by the test") })'],
    ['the end of the program', ''],
  ])('is removed at %s', async (_what, end) => {
    const name = freshName('segment');
    const quiet = 'process.on("uncaughtExceptionMonitor", () => process.exit(7));';
    const other = new OtherProcess(`${quiet}
      globalThis.s = m.Segment.create({name: '${name}', sizeBytes: 1});
      globalThis.b = s.buffer; ${end}`);
    await other.ended();
    expect(leftOf(name)).toEqual([]);
  });

  it('of killed processes is swept at the next create, and no living one', async () => {
    const dead = freshName('dead');
    const living = freshName('living');
    const holders = [1, 2].map(
      (n) =>
        new OtherProcess(`
          const first = ${n === 1}, options = {name: '${dead}', sizeBytes: 1};
          const s = first ? m.Segment.create(options) : m.Segment.open(options.name);
          console.log('ready'); setInterval(() => s, 1e6);`),
    );
    await holders[0]?.line();
    await holders[1]?.line().catch(() => {});
    const bystander = new OtherProcess(
      `globalThis.s = m.Segment.create({name: '${living}', sizeBytes: 1});
       console.log('ready'); setInterval(() => s, 1e6);`,
    );
    await bystander.line();
    for (const { child } of holders) child.kill('SIGSTOP');
    for (const holder of holders) await holder.kill();
    expect(leftOf(dead)).toHaveLength(1);
    Segment.create({ name: freshName('next'), sizeBytes: 1 }).close();
    expect(leftOf(dead)).toEqual([]);
    expect(leftOf(living)).toHaveLength(1);
    await bystander.kill();
    expect(Segment.sweep()).toContain(living);
  });

  it('does not follow a link', () => {
    const name = freshName('link');
    const path = `/dev/shm/memdrift.${name}`;
    symlinkSync('/etc/hostname', path);
    strays.push(path);
    expect(() => Segment.open(name)).toThrow();
    expect(() => Segment.create({ name, sizeBytes: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_EXISTS' }),
    );
    Segment.sweep();
    expect(leftOf(name)).toHaveLength(1);
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['of somebody else', new Uint8Array(8192).fill(7)],
  ])('refuses a file that is %s', (_what, bytes) => {
    const name = freshName('stray');
    strayFile(name, bytes);
    expect(() => Segment.open(name)).toThrow(expect.objectContaining({ code: 'ERR_MALFORMED' }));
  });

  it('refuses a file that was cut', () => {
    const name = freshName('cut');
    const segment = Segment.create({ name, sizeBytes: 100_000 });
    truncateSync(segment.path, 8192);
    expect(() => Segment.open(name)).toThrow(expect.objectContaining({ code: 'ERR_MALFORMED' }));
    segment.close();
  });

  it.each([
    ['a name with a slash', { name: '../x', sizeBytes: 1 }],
    ['an empty name', { name: '', sizeBytes: 1 }],
    ['a name that is too long', { name: 'x'.repeat(201), sizeBytes: 1 }],
    ['size 0', { name: 'x', sizeBytes: 0 }],
    ['a negative size', { name: 'x', sizeBytes: -1 }],
    ['NaN', { name: 'x', sizeBytes: Number.NaN }],
    ['half a byte', { name: 'x', sizeBytes: 1.5 }],
  ])('refuses %s', (_what, options) => {
    expect(() => Segment.create(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID' }));
  });

  it('says that there is none', () => {
    expect(() => Segment.open('no-such')).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
    expect(() => Segment.unlink('no-such')).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
  });

  it('says before it touches anything that /dev/shm is too small', () => {
    const name = freshName('large');
    expect(() => Segment.create({ name, sizeBytes: 2 ** 52 })).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/ERR_FULL|ERR_TOO_LARGE/) as string,
      }),
    );
    expect(leftOf(name)).toEqual([]);
  });

  it('leaks neither descriptors nor mappings over 1,000 lives', () => {
    const before = openFiles();
    for (let i = 0; i < 1000; i++) {
      const segment = Segment.create({ name: freshName('life'), sizeBytes: 4096 });
      new Uint8Array(segment.buffer)[0] = 1;
      segment.close();
    }
    expect(openFiles()).toBe(before);
  });

  it('of a worker goes with the worker', async () => {
    const name = freshName('worker');
    const url = new URL('../../dist/index.js', import.meta.url).href;
    const worker = new Worker(
      `import('${url}').then((m) => {
        globalThis.s = m.Segment.create({ name: '${name}', sizeBytes: 1000 });
        globalThis.b = s.buffer;
        require('node:worker_threads').parentPort.postMessage('ready');
        setInterval(() => {}, 1e6);
      });`,
      { eval: true },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    expect(leftOf(name)).toHaveLength(1);
    await worker.terminate();
    expect(leftOf(name)).toEqual([]);
  });
});

function openFiles(): number {
  return statSync('/proc/self/fd').size;
}
