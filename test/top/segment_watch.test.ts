/** Segments of a group that changes: real processes that map files in /dev/shm. */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { readCounters } from '../../src/proc/counters.ts';
import { Segment } from '../../src/shm/segment.ts';
import { type Member, SegmentWatch } from '../../src/top/segment_watch.ts';

const name = `test-watch-${process.pid}`;
const path = `/dev/shm/memdrift.${name}`;
afterEach(() => rmSync(path, { force: true }));

const sizeBytes = 8 << 20;
const self = (): Member => {
  const { pid, startTimeTicks, rssShmemBytes } = readCounters('self');
  return { pid, startTimeTicks: startTimeTicks ?? 0, rssShmemBytes };
};

describe('SegmentWatch', () => {
  test('finds what is mapped in /dev/shm, who maps it, and what nobody does', async () => {
    using segment = Segment.create({ name, sizeBytes });
    new Uint8Array(segment.buffer).fill(1, 0, sizeBytes / 2);
    const watch = new SegmentWatch(null, 1);
    const member = self();
    await watch.readAll([member]);
    const [found] = watch.segments([member]).filter((one) => one.name === path);
    // All of its pages are there, and one for its header.
    const residentBytes = statSync(path).blocks * 512;
    expect(residentBytes).toBeGreaterThanOrEqual(sizeBytes);
    expect(found).toMatchObject({ residentBytes, unmappedBytes: residentBytes - sizeBytes / 2 });
    expect(found?.holders).toEqual([
      {
        ...{ pid: process.pid, rssBytes: sizeBytes / 2, pssBytes: sizeBytes / 2 },
        ...{ copiedBytes: 0, descriptors: 1 },
      },
    ]);
    // Half of what it had when it was read.
    const less = { ...member, rssShmemBytes: (member.rssShmemBytes ?? 0) / 2 };
    const [moved] = watch.segments([less]).filter((one) => one.name === path);
    expect(moved?.holders[0]?.rssBytes).toBe(sizeBytes / 4);
    expect(moved?.unmappedBytes).toBe(residentBytes - sizeBytes / 4);
  });

  test('forgets a process that ended, also when another has its number', async () => {
    using segment = Segment.create({ name, sizeBytes });
    new Uint8Array(segment.buffer).fill(1);
    const watch = new SegmentWatch(null, 1);
    const member = self();
    await watch.readAll([member]);
    expect(watch.segments([])).toEqual([]);
    expect(watch.segments([{ ...member, startTimeTicks: 1 }])).toEqual([]);
    expect(watch.segments([member])).not.toEqual([]);
  });

  test('a file that is named counts without being mapped, until it is gone', () => {
    writeFileSync(path, Buffer.alloc(sizeBytes, 1));
    const watch = new SegmentWatch([path], 1);
    const unmappedBytes = statSync(path).blocks * 512;
    expect(watch.segments([])).toMatchObject([{ name: path, unmappedBytes, holders: [] }]);
    rmSync(path);
    expect(watch.segments([])).toEqual([]);
    expect(() => new SegmentWatch([path], 1)).toThrow(
      expect.objectContaining({ code: 'ERR_GONE' }),
    );
  });

  test('a process that is gone or denied has none', async () => {
    const gone: Member = { pid: 2 ** 22 + 1, startTimeTicks: 1, rssShmemBytes: 5 };
    const watch = new SegmentWatch(null, 1);
    await watch.readAll([gone]);
    expect(watch.segments([gone])).toEqual([]);
  });

  test('reads no more than its part of the time', async () => {
    using segment = Segment.create({ name, sizeBytes });
    new Uint8Array(segment.buffer).fill(1);
    let nowMs = 0;
    // Each read seems to take 150 ms; there are 200 at the beginning, and 1 % of what passes.
    const watch = new SegmentWatch(null, 0.01, () => {
      nowMs += 50;
      return nowMs;
    });
    const gone = [1, 2, 3].map((i) => ({ pid: 2 ** 22 + i, startTimeTicks: 1, rssShmemBytes: 1 }));
    const member = self();
    const members = [...gone, member];
    await watch.readSome(members);
    await watch.readSome(members);
    expect(watch.segments(members)).toEqual([]);
    nowMs += 30_000;
    await watch.readSome(members);
    expect(watch.segments(members)).toHaveLength(1);
  });
});
