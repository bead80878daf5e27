import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  counterFields,
  parseStat,
  parseStatm,
  parseStatus,
  readCounters,
  readCountersAsync,
} from '../../src/proc/counters.ts';
import { fixture } from './fixtures.ts';
import { withZombie } from './zombie.ts';

const malformed = expect.objectContaining({ code: 'ERR_MALFORMED' });

describe('counterFields', () => {
  it('is the native list, in its order', () => {
    const list = readFileSync(new URL('../../native/proc/counters.h', import.meta.url), 'utf8');
    const native = [...list.matchAll(/^ {2}X\(\w+, \w+, (\w+)\)/gm)].map((match) => match[1]);
    expect(counterFields).toEqual(native);
  });
});

describe('parseStatus', () => {
  it('reads what Linux 6.18 says', () => {
    const counters = parseStatus(fixture('status.6.18'));
    expect(counters).toMatchObject({
      pid: 26794,
      parentPid: 26792,
      name: 'a (b) c\nd)',
      state: 'T',
      uid: 0,
      effectiveUid: 0,
      threads: 1,
      signalsCaught: 0n,
      vmSizeBytes: 11780 * 1024,
      peakRssBytes: 2468 * 1024,
      hugetlbBytes: 2048 * 1024,
      pmdTableBytes: null,
      startTimeTicks: null,
    });
    const { rssBytes, rssAnonBytes, rssFileBytes, rssShmemBytes, sharedBytes } = counters;
    expect((rssAnonBytes ?? 0) + (sharedBytes ?? 0)).toBe(rssBytes);
    expect((rssFileBytes ?? 0) + (rssShmemBytes ?? 0)).toBe(sharedBytes);
  });

  it('has null for what Linux 3.10 does not say', () => {
    const counters = parseStatus(fixture('status.3.10'));
    expect(counters.rssBytes).toBe(2468 * 1024);
    expect(counters).toMatchObject({ rssAnonBytes: null, hugetlbBytes: null, sharedBytes: null });
    expect(parseStatus(fixture('status.4.18')).rssAnonBytes).not.toBeNull();
    expect(parseStatus(fixture('status.5.14')).rssShmemBytes).not.toBeNull();
  });

  it('is not led astray by a name that looks like another line', () => {
    const text = 'Name:\tx\\nVmRSS:\t1 kB\\\\\nState:\tS (sleeping)\nPid:\t7\nVmRSS:\t  8 kB\n';
    expect(parseStatus(Buffer.from(text))).toMatchObject({
      name: 'x\nVmRSS:\t1 kB\\',
      pid: 7,
      rssBytes: 8192,
    });
  });

  it.each([
    ['line 2', 'Name:\tx\nVmRSS:\tmany kB\nPid:\t1\n'],
    ['line 1', 'Pid:\t-1\n'],
    ['line 1', 'VmRSS:\t  8 MB\n'],
    ['Pid', 'Name:\tx\n'],
  ])('says ERR_MALFORMED with %s: %j', (part, text) => {
    expect(() => parseStatus(Buffer.from(text))).toThrow(malformed);
    expect(() => parseStatus(Buffer.from(text))).toThrow(part);
  });
});

describe('parseStat', () => {
  it('finds the end of a name with parentheses, spaces and newlines', () => {
    expect(parseStat(fixture('stat.6.18'))).toMatchObject({
      pid: 26794,
      name: 'a (b) c\nd)',
      state: 'T',
      parentPid: 26792,
      threads: 1,
      startTimeTicks: 457146,
      userTicks: 0,
      systemTicks: 1,
      rssBytes: null,
      signalsCaught: null,
    });
  });

  it.each(['', '1 x S 1', '1 (x) S 1 2 3', 'x (x) S', ')1('])('says ERR_MALFORMED: %j', (text) => {
    expect(() => parseStat(Buffer.from(text))).toThrow(malformed);
  });
});

describe('parseStatm', () => {
  it('multiplies by the page size', () => {
    const statm = parseStatm(fixture('statm.6.18'));
    expect(statm.rssBytes).toBe(parseStatus(fixture('status.6.18')).rssBytes);
    expect(statm.sharedBytes).toBe(parseStatus(fixture('status.6.18')).sharedBytes);
    expect(parseStatm(fixture('statm.6.18'), 65536).rssBytes).toBe(16 * statm.rssBytes);
  });

  it.each(['', '1 2 3', '1 2 3 4 5 6 x'])('says ERR_MALFORMED: %j', (text) => {
    expect(() => parseStatm(Buffer.from(text))).toThrow(malformed);
  });
});

describe('readCounters', () => {
  it('reads this process on both paths', async () => {
    for (const counters of [readCounters('self'), await readCountersAsync(process.pid)]) {
      expect(counters.pid).toBe(process.pid);
      expect(counters.parentPid).toBe(process.ppid);
      expect(counters.uid).toBe(process.getuid?.());
      expect(counters.rssBytes).toBeGreaterThan(1 << 20);
      expect(counters.peakRssBytes).toBeGreaterThan(1 << 20);
      expect(counters.startTimeTicks).toBeGreaterThan(0);
      expect(counters.threads).toBeGreaterThan(1);
    }
  });

  it('tells which signals a process catches', () => {
    const before = readCounters('self').signalsCaught ?? 0n;
    const handler = () => {};
    process.on('SIGUSR2', handler);
    const after = readCounters('self').signalsCaught ?? 0n;
    process.off('SIGUSR2', handler);
    expect((after ^ before) & (1n << 11n)).toBe(1n << 11n);
  });

  it('has no memory of a zombie, which is not 0', async () => {
    await withZombie(async (pid) => {
      expect(readCounters(pid)).toMatchObject({
        pid,
        state: 'Z',
        rssBytes: null,
        sharedBytes: null,
      });
      expect(await readCountersAsync(pid)).toMatchObject({ rssBytes: null, peakRssBytes: null });
    });
  });

  it('says ERR_GONE for a process that has ended', async () => {
    const child = spawn('true');
    const { pid } = child;
    await once(child, 'exit');
    expect(() => readCounters(pid as number)).toThrow(
      expect.objectContaining({ code: 'ERR_GONE' }),
    );
    await expect(readCountersAsync(pid as number)).rejects.toMatchObject({ code: 'ERR_GONE' });
  });
});
