import { rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { SegmentTable } from '../../src/group/segments.ts';
import type { Mapping } from '../../src/proc/mappings.ts';
import { parseSmaps } from '../../src/proc/mappings.ts';

const path = `/dev/shm/memdrift-test-segments-${process.pid}`;
afterEach(() => rmSync(path, { force: true }));

/** A mapping of `path` as smaps prints it, in kB. */
function mappingOf(kB: { rss: number; pss: number; anonymous: number }): Mapping {
  const { ino, dev } = statSync(path);
  const device = `${(dev >> 8).toString(16).padStart(2, '0')}:${(dev & 255).toString(16)}`;
  const text =
    `7f0000000000-7f0000400000 rw-p 00000000 ${device} ${ino} ${path}\n` +
    `Size: 4096 kB\nRss: ${kB.rss} kB\nPss: ${kB.pss} kB\nAnonymous: ${kB.anonymous} kB\n`;
  return parseSmaps(Buffer.from(text)).at(0);
}

describe('SegmentTable', () => {
  test('sums the mappings of a process, and keeps copies apart from the pages of the file', () => {
    writeFileSync(path, Buffer.alloc(4_194_304, 1));
    const table = new SegmentTable([path]);
    table.add(1, mappingOf({ rss: 1024, pss: 512, anonymous: 0 }));
    table.add(1, mappingOf({ rss: 400, pss: 250, anonymous: 100 }));
    table.add(2, mappingOf({ rss: 100, pss: 50, anonymous: 0 }));
    const [segment] = table.finish();
    expect(segment?.holders).toEqual([
      { pid: 1, rssBytes: 1424 * 1024, pssBytes: 662 * 1024, copiedBytes: 100 * 1024 },
      { pid: 2, rssBytes: 100 * 1024, pssBytes: 50 * 1024, copiedBytes: 0 },
    ]);
    expect(segment?.unmappedBytes).toBe(4_194_304 - 712 * 1024);
  });

  test('every file of /dev/shm counts when none is named, and no other', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = mappingOf({ rss: 4, pss: 4, anonymous: 0 });
    const table = new SegmentTable(null);
    expect(table.concerns(mapping)).toBe(true);
    expect(table.concerns({ ...mapping, deviceMajor: 8 })).toBe(false);
    expect(table.concerns({ ...mapping, inode: 0n })).toBe(false);
    expect(new SegmentTable([]).concerns(mapping)).toBe(false);
    expect(table.finish()).toEqual([]);
  });

  test('a file that cannot be reached has pages that are not known', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = mappingOf({ rss: 4, pss: 4, anonymous: 0 });
    rmSync(path);
    const table = new SegmentTable(null);
    table.add(process.pid, mapping);
    expect(table.finish()[0]).toMatchObject({ residentBytes: null, unmappedBytes: null });
  });
});
