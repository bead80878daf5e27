import { createHash, pbkdf2 } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/shm/flag.ts';
import { Segment } from '../../src/shm/segment.ts';
import { freshName, leftOf, OtherProcess } from './processes.ts';

describe('Flag', () => {
  it('is taken by one wait per post, and two posts are one', async () => {
    using flag = Flag.create(freshName('flag'));
    flag.post();
    flag.post();
    expect(flag.tryWait()).toBe(true);
    expect(flag.tryWait()).toBe(false);
    flag.post();
    expect(await flag.wait(1000)).toBe(true);
    expect(await flag.wait(5)).toBe(false);
  });

  it('is passed between processes a thousand times', async () => {
    const name = freshName('flag');
    using ping = Flag.create(`${name}.ping`);
    using pong = Flag.create(`${name}.pong`);
    const other = new OtherProcess(`
      const ping = m.Flag.open('${name}.ping'), pong = m.Flag.open('${name}.pong');
      console.log('ready');
      for (let i = 0; i < 1000; i++) {
        if (!await ping.wait(10000)) throw new Error('late');
        pong.post();
      }
      ping.close(); pong.close();`);
    await other.line();
    for (let i = 0; i < 1000; i++) {
      ping.post();
      expect(await pong.wait(10_000)).toBe(true);
    }
    expect(await other.ended()).toBe(0);
  });

  it('lets the event loop and its pool work while many wait', async () => {
    using flag = Flag.create(freshName('flag'));
    const waits = Array.from({ length: 200 }, () => flag.wait(20_000));
    await readFile('/proc/self/status');
    await promisify(pbkdf2)('x', 'y', 1000, 32, 'sha256');
    expect(createHash('sha256').update('x').digest('hex')).toHaveLength(64);
    for (const wait of waits) {
      flag.post();
      await Promise.race([wait, ...waits.filter((other) => other !== wait)]);
    }
    // A post between two waits may be one with the last; those left are let in one by one.
    const feeding = setInterval(() => flag.post(), 1);
    expect(await Promise.all(waits)).toEqual(waits.map(() => true));
    clearInterval(feeding);
  });

  it('tells who waits that it was closed', async () => {
    const flag = Flag.create(freshName('flag'));
    const wait = flag.wait(10_000);
    flag.close();
    await expect(wait).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(flag.wait(1)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => flag.post()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('is no plain segment, nor the other way round', () => {
    using flag = Flag.create(freshName('flag'));
    using segment = Segment.create({ name: freshName('segment'), sizeBytes: 4096 });
    const malformed = expect.objectContaining({ code: 'ERR_MALFORMED' });
    expect(() => Segment.open(flag.name)).toThrow(malformed);
    expect(() => Flag.open(segment.name)).toThrow(malformed);
  });

  it('refuses a time that is none', async () => {
    using flag = Flag.create(freshName('flag'));
    await expect(flag.wait(-1)).rejects.toMatchObject({ code: 'ERR_INVALID' });
    await expect(flag.wait(Number.NaN)).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });

  it('does not hold up the end of a process that still waits', async () => {
    const name = freshName('flag');
    const other = new OtherProcess(`
      const flag = m.Flag.create('${name}'); flag.wait(60000); console.log('waiting');
      setTimeout(() => process.exit(3), 20);`);
    await other.line();
    expect(await other.ended()).toBe(3);
    expect(leftOf(name)).toEqual([]);
  });
});
