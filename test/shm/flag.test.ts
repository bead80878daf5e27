import { pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { Flag } from '../../src/shm/flag.ts';
import { Segment } from '../../src/shm/segment.ts';
import { leftOf, OtherProcess, silent, startedWorker } from './processes.ts';

const name = `flag-test-${process.pid}`;
const others: OtherProcess[] = [];
const made: Flag[] = [];

afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
  for (const flag of made.splice(0)) flag.close();
});

/** A process that runs `code`, once it has said its first line. */
async function started(code: string, nodeOptions: readonly string[] = []): Promise<OtherProcess> {
  const other = new OtherProcess(code, nodeOptions);
  others.push(other);
  await other.line();
  return other;
}

function code(value: string): unknown {
  return expect.objectContaining({ name: 'MemdriftError', code: value });
}

function create(suffix = ''): Flag {
  const flag = Flag.create(name + suffix);
  made.push(flag);
  return flag;
}

/** Ends on its own long after every test has. */
const long = 60_000;

describe('a flag', () => {
  test('is binary: two posts are taken once', async () => {
    const flag = create();
    expect(flag.tryWait()).toBe(false);
    flag.post();
    flag.post();
    expect(flag.tryWait()).toBe(true);
    expect(flag.tryWait()).toBe(false);
    flag.post();
    flag.post();
    expect(await flag.wait(long)).toBe(true);
    expect(await flag.wait(10)).toBe(false);
  });

  test('that was posted before the wait ends it at once, even with no time to wait', async () => {
    const flag = create();
    flag.post();
    expect(await flag.wait(0)).toBe(true);
    expect(await flag.wait(0)).toBe(false);
  });

  test('that times out leaves the next post to the next wait', async () => {
    const flag = create();
    expect(await flag.wait(20)).toBe(false);
    flag.post();
    expect(await flag.wait(long)).toBe(true);
  });

  test('is waited for without a limit when none is given', async () => {
    const flag = create();
    const wait = flag.wait();
    const other = flag.wait(Number.POSITIVE_INFINITY);
    flag.post();
    expect(await wait).toBe(true);
    flag.post();
    expect(await other).toBe(true);
  });

  test('ends one of many waits per post', async () => {
    const flag = create();
    const ended: number[] = [];
    const waits = Array.from({ length: 50 }, async (_, i) => {
      if (await flag.wait(long)) ended.push(i);
    });
    for (let posted = 1; posted <= 50; posted++) {
      flag.post();
      while (ended.length < posted) await sleep(0);
      expect(ended.length).toBe(posted);
    }
    await Promise.all(waits);
    expect(new Set(ended).size).toBe(50);
  });

  test('plays ping-pong with another process 10,000 times', async () => {
    const [ping, pong] = [create('-ping'), create('-pong')];
    const peer = await started(`
      const ping = m.Flag.open('${name}-ping'), pong = m.Flag.open('${name}-pong');
      console.log('ready');
      for (let i = 0; i < 10000; i++) {
        if (!(await ping.wait(30000))) throw new Error('ping ' + i + ' was lost');
        pong.post();
      }
      console.log('done');`);
    for (let i = 0; i < 10_000; i++) {
      ping.post();
      if (!(await pong.wait(30_000))) throw new Error(`pong ${i} was lost`);
    }
    expect(await peer.line()).toBe('done');
    expect([ping.tryWait(), pong.tryWait()]).toEqual([false, false]);
  }, 120_000);

  test('is not a segment, and a segment is not a flag', () => {
    create();
    expect(() => Segment.open(name)).toThrow(code('ERR_MALFORMED'));
    using segment = Segment.create({ name: `${name}-segment`, sizeBytes: 8192 });
    expect(() => Flag.open(segment.name)).toThrow(code('ERR_MALFORMED'));
  });

  test('refuses names and times that are none', async () => {
    expect(() => Flag.create('a/b')).toThrow(code('ERR_INVALID'));
    expect(() => Flag.open(name)).toThrow(code('ERR_GONE'));
    const flag = create();
    expect(() => Flag.create(name)).toThrow(code('ERR_EXISTS'));
    for (const bad of [-1, Number.NaN, '5', null, {}, 5n]) {
      await expect(flag.wait(bad as number)).rejects.toThrow(code('ERR_INVALID'));
    }
  });
});

describe('a wait', () => {
  test('takes neither the event loop nor a thread of the pool', async () => {
    const threadsBefore = readdirSync('/proc/self/task').length;
    const flags = Array.from({ length: 8 }, (_, i) => create(`-${i}`));
    let ended = 0;
    const waits = flags.map(async (flag) => {
      if (await flag.wait(long)) ended++;
    });
    // More of the pool's work than the pool has threads, and turns of the loop.
    const derive = promisify(pbkdf2);
    const work = Array.from({ length: 16 }, async (_, i) => {
      await readFile('/proc/self/status');
      await derive('password', `salt ${i}`, 1000, 32, 'sha256');
    });
    await Promise.all(work);
    for (let turn = 0; turn < 20; turn++) await sleep(1);
    expect(ended).toBe(0);
    const poolThreads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
    expect(readdirSync('/proc/self/task').length).toBeLessThanOrEqual(
      threadsBefore + poolThreads + 1,
    );
    for (const flag of flags) flag.post();
    await Promise.all(waits);
    expect(ended).toBe(8);
  });

  test('keeps a process alive until it ends, and no longer', async () => {
    const peer = await started(`
      process.stdin.unref?.();
      const flag = m.Flag.create('${name}-alive');
      console.log('ready');
      flag.wait(100).then((taken) => process.exitCode = taken ? 2 : 3);`);
    const ended = await peer.ended();
    expect([ended, leftOf(name)]).toEqual([3, []]);
  });

  test('rejects with ERR_CLOSED when the flag is closed, all of them', async () => {
    const flag = create();
    const other = Flag.open(name);
    const waits = [flag.wait(long), flag.wait(long)];
    const kept = other.wait(long);
    flag.close();
    for (const end of await Promise.allSettled(waits)) {
      expect(end).toEqual({ status: 'rejected', reason: code('ERR_CLOSED') });
    }
    expect(() => flag.post()).toThrow(code('ERR_CLOSED'));
    expect(() => flag.tryWait()).toThrow(code('ERR_CLOSED'));
    await expect(flag.wait(1)).rejects.toThrow(code('ERR_CLOSED'));
    flag.close();
    other.post();
    expect(await kept).toBe(true);
    other.close();
    expect(leftOf(name)).toEqual([]);
  });

  test('is nothing that close waits for: the last one out has removed the file', () => {
    for (let round = 0; round < 100; round++) {
      const flag = Flag.create(name);
      flag.wait(long).catch(() => {});
      flag.close();
      expect(leftOf(name)).toEqual([]);
    }
  });

  test('ends with its worker, however that ends, and takes no post with it', async () => {
    const flag = create();
    const script = `
      const flag = m.Flag.open('${name}');
      parentPort.once('message', () => process.exit());
      for (let i = 0; i < 3; i++) flag.wait(60000);
      parentPort.postMessage('waiting');`;
    for (let round = 0; round < 5; round++) {
      await (await startedWorker(script)).terminate();
      const exiting = await startedWorker(script);
      exiting.postMessage('exit');
      await once(exiting, 'exit');
    }
    flag.post();
    expect(await flag.wait(long)).toBe(true);
    flag.close();
    expect(leftOf(name)).toEqual([]);
  });

  test.each(['worker thread', 'main thread'])(
    'in a %s is ended by a post of the other',
    async (where) => {
      const flag = create();
      const other = await startedWorker(`
      const flag = m.Flag.open('${name}');
      if ('${where}' === 'main thread') {
        parentPort.postMessage('ready');
        parentPort.once('message', () => flag.post());
        return;
      }
      flag.wait(60000).then((taken) => parentPort.postMessage(taken));
      parentPort.postMessage('waiting');`);
      const message = once(other, 'message');
      if (where === 'main thread') {
        const wait = flag.wait(long);
        other.postMessage('post');
        expect(await wait).toBe(true);
      } else {
        flag.post();
        expect(await message).toEqual([true]);
      }
      await other.terminate();
    },
  );

  test.each([
    ['SIGKILL', "setTimeout(() => process.kill(process.pid, 'SIGKILL'), 20)"],
    ['process.exit()', 'setTimeout(() => process.exit(0), 20)'],
    ['an uncaught exception', "setTimeout(() => { throw new Error('expected') }, 20)"],
  ])('of a process that ends by %s harms nobody', async (_how, end) => {
    const flag = create();
    const peer = await started(`${silent}
      const flag = m.Flag.open('${name}');
      flag.wait(60000);
      console.log('waiting');
      ${end};`);
    const wait = flag.wait(long);
    await peer.ended();
    flag.post();
    expect(await wait).toBe(true);
    flag.close();
    expect(leftOf(name)).toEqual([]);
  });
});
