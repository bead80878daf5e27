import { rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { SegmentTable } from '../../src/group/segments.ts';
import type { Mapping } from '../../src/proc/mappings.ts';
import { parseSmaps } from '../../src/proc/mappings.ts';

const path = `/dev/shm/memdrift-test-segments-${process.pid}`;
afterEach(() => rmSync(path, { force: true }));

interface Lines {
  readonly [field: string]: number;
}

/** A mapping of `path` as smaps prints it, in kB. */
function mappingOf(kB: Lines, permissions = 'rw-p', start = '7f0000000000'): Mapping {
  const { ino, dev } = statSync(path);
  const device = `${(dev >> 8).toString(16).padStart(2, '0')}:${(dev & 255).toString(16)}`;
  const end = (Number.parseInt(start, 16) + (4 << 20)).toString(16);
  const lines = Object.entries(kB).map(([field, value]) => `${field}: ${value} kB\n`);
  const head = `${start}-${end} ${permissions} 00000000 ${device} ${ino} ${path}\n`;
  return parseSmaps(Buffer.from(`${head}Size: 4096 kB\n${lines.join('')}`)).at(0);
}

const noSwap = { swapUsedBytes: 0, swappedOf: () => null };

function finished(table: SegmentTable, swap: Parameters<SegmentTable['finish']>[0] = noSwap) {
  const { segments, sums } = table.finish(swap);
  return { segment: segments[0], sum: sums[0] };
}

/** Of a device that is memory and was never seen. */
function tableOf(mapping: Mapping, isHugetlb = false): SegmentTable {
  const table = new SegmentTable([]);
  const { deviceMajor, deviceMinor } = mapping;
  table.addDevices([{ deviceMajor, deviceMinor, isHugetlb }]);
  return table;
}

describe('SegmentTable', () => {
  test('sums the mappings of a process, and keeps copies apart from the pages of the file', () => {
    writeFileSync(path, Buffer.alloc(4_194_304, 1));
    const table = new SegmentTable([path]);
    table.add(1, mappingOf({ Rss: 1024, Pss: 512, Anonymous: 0 }));
    table.add(1, mappingOf({ Rss: 400, Pss: 250, Anonymous: 100 }));
    table.add(2, mappingOf({ Rss: 100, Pss: 50, Anonymous: 0 }));
    const { segment } = finished(table);
    const rest = { descriptors: 0 };
    expect(segment?.holders).toEqual([
      { pid: 1, rssBytes: 1424 * 1024, pssBytes: 662 * 1024, copiedBytes: 100 * 1024, ...rest },
      { pid: 2, rssBytes: 100 * 1024, pssBytes: 50 * 1024, copiedBytes: 0, ...rest },
    ]);
    expect(segment?.unmappedBytes).toBe(4_194_304 - 712 * 1024);
  });

  test('what is in memory counts by its device, and a named file on any', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = mappingOf({ Rss: 4, Pss: 4 });
    const table = tableOf(mapping);
    expect(table.concerns(mapping)).toBe(true);
    expect(table.concerns({ ...mapping, deviceMajor: 8 })).toBe(false);
    expect(table.concerns({ ...mapping, inode: 0n })).toBe(false);
    expect(new SegmentTable([]).concerns(mapping)).toBe(false);
    expect(new SegmentTable([path]).concerns(mapping)).toBe(true);
  });

  test('a file that cannot be reached has pages that are not known', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = mappingOf({ Rss: 4, Pss: 4 });
    rmSync(path);
    const table = tableOf(mapping);
    table.add(process.pid, mapping);
    const { segment, sum } = finished(table);
    expect(segment).toMatchObject({ residentBytes: null, unmappedBytes: null, chargedBytes: null });
    expect(sum?.isUnreached).toBe(true);
  });

  test('swapped pages are not resident: a shared mapping of the whole file says how many', () => {
    writeFileSync(path, Buffer.alloc(4_194_304, 1));
    const table = new SegmentTable([path]);
    table.add(1, mappingOf({ Rss: 1024, Pss: 1024, Swap: 3072 }, 'rw-s'));
    const { segment } = finished(table, { ...noSwap, swapUsedBytes: 9e9 });
    expect(segment).toMatchObject({
      ...{ residentBytes: 1 << 20, swappedBytes: 3 << 20, unmappedBytes: 0, chargedBytes: 0 },
    });
  });

  test('without such a mapping the file is asked, and where it cannot be, bounds are given', () => {
    writeFileSync(path, Buffer.alloc(4_194_304, 1));
    const asked: string[] = [];
    const swappedOf = (at: string) => {
      asked.push(at);
      return 2 << 20;
    };
    const known = finished(new SegmentTable([path]), { swapUsedBytes: 9e9, swappedOf });
    expect(asked).toEqual([path]);
    expect(known.segment).toMatchObject({ residentBytes: 2 << 20, swappedBytes: 2 << 20 });
    const unknown = finished(new SegmentTable([path]), { ...noSwap, swapUsedBytes: 1 << 20 });
    expect(unknown.segment).toMatchObject({ residentBytes: null, swappedBytes: null });
    expect(unknown.sum?.unmapped).toEqual({ least: 3 << 20, most: 4 << 20 });
  });

  test('copies that fork shares leave bounds of what of the file is mapped', () => {
    writeFileSync(path, Buffer.alloc(4_194_304, 1));
    const table = new SegmentTable([path]);
    // 1 MB of copies that both have: each Pss has half of it.
    const copies = { Rss: 1024, Pss: 512, Anonymous: 1024, Shared_Dirty: 1024 };
    table.add(1, mappingOf(copies));
    table.add(2, mappingOf(copies));
    expect(finished(table).sum?.unmapped).toEqual({ least: 2 << 20, most: 4 << 20 });
    const apart = new SegmentTable([path]);
    apart.add(1, mappingOf(copies));
    apart.add(2, mappingOf(copies, 'rw-p', '7f1000000000'));
    expect(finished(apart).sum?.unmapped).toEqual({ least: 4 << 20, most: 4 << 20 });
  });
});

describe('huge pages', () => {
  const anonymous = (mapping: Mapping) => ({ ...mapping, inode: 1n, name: '/anon_hugepage' });

  test('of one process are charged whole, those of two in halves', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = anonymous(mappingOf({ Private_Hugetlb: 4096, Shared_Hugetlb: 2048 }));
    const table = tableOf(mapping, true);
    table.add(1, mapping);
    table.addOutside(2, anonymous(mappingOf({ Shared_Hugetlb: 2048 })));
    const { segment, sum } = finished(table);
    expect(segment?.isHugetlb).toBe(true);
    expect(segment?.holders).toMatchObject([{ rssBytes: 6 << 20, pssBytes: 0 }]);
    expect(sum?.hugetlb).toEqual({ least: 5 << 20, most: 5 << 20 });
    expect(sum?.unmapped).toEqual({ least: 0, most: 0 });
  });

  test('that three processes map in ways that are not shown leave bounds', () => {
    writeFileSync(path, Buffer.alloc(4096, 1));
    const mapping = anonymous(mappingOf({ Shared_Hugetlb: 6144 }));
    const table = tableOf(mapping, true);
    for (const pid of [1, 2, 3]) table.add(pid, mapping);
    expect(finished(table).sum?.hugetlb).toEqual({ least: 6 << 20, most: 9 << 20 });
  });
});
