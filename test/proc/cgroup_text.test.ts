import { describe, expect, it } from 'vitest';
import {
  folderBeneath,
  parseCgroupMounts,
  parseCgroupPlaces,
  parseFlatKeys,
  parseLimit,
} from '../../src/proc/cgroup_text.ts';

const malformed = expect.objectContaining({ code: 'ERR_MALFORMED' });

describe('parseCgroupPlaces', () => {
  it("puts version 1's memory controller first, which charges where both are mounted", () => {
    const text = '0::/user.slice\n9:name=systemd:/x\n4:cpu,memory:/a:b/c d\n1:cpuset:/\n';
    expect(parseCgroupPlaces(text)).toEqual([
      { version: 1, path: '/a:b/c d' },
      { version: 2, path: '/user.slice' },
    ]);
  });

  it('has version 2 alone where the kernel has nothing else, and nothing without both', () => {
    expect(parseCgroupPlaces('0::/\n')).toEqual([{ version: 2, path: '/' }]);
    expect(parseCgroupPlaces('3:cpuset:/x\n')).toEqual([]);
  });

  it('says ERR_MALFORMED', () => {
    expect(() => parseCgroupPlaces('0:/x\n')).toThrow(malformed);
  });
});

describe('parseCgroupMounts', () => {
  it('finds those that can charge memory, and undoes the octal escapes', () => {
    const text = [
      '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 master:1 - cgroup cgroup rw,cpu',
      '35 31 0:32 /docker/ab /my\\040groups rw shared:9 master:1 - cgroup cgroup rw,memory',
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
      '',
    ].join('\n');
    expect(parseCgroupMounts(text)).toEqual([
      { version: 1, root: '/docker/ab', folder: '/my groups' },
      { version: 2, root: '/', folder: '/sys/fs/cgroup/unified' },
    ]);
  });

  it('says ERR_MALFORMED', () => {
    expect(() => parseCgroupMounts('31 23 0:28 / /x rw cgroup\n')).toThrow(malformed);
  });
});

describe('folderBeneath', () => {
  const mount = { version: 2, root: '/pod', folder: '/sys/fs/cgroup' } as const;

  it.each([
    ['/pod', '/sys/fs/cgroup'],
    ['/pod/a', '/sys/fs/cgroup/a'],
    ['/podium', null],
    ['/', null],
    ['/../other', null],
    ['/pod/../other', null],
  ])('has for %s %s', (path, folder) => {
    expect(folderBeneath({ version: 2, path }, mount)).toBe(folder);
    expect(folderBeneath({ version: 1, path }, mount)).toBeNull();
  });

  it('is the whole path where the mount shows the whole hierarchy', () => {
    const whole = { ...mount, root: '/' };
    expect(folderBeneath({ version: 2, path: '/a/b' }, whole)).toBe('/sys/fs/cgroup/a/b');
    expect(folderBeneath({ version: 2, path: '/' }, whole)).toBe('/sys/fs/cgroup');
  });
});

describe('values', () => {
  it('has no limit where the kernel says max, or the largest number of version 1', () => {
    expect(parseLimit('max\n', 'memory.max')).toBeNull();
    expect(parseLimit('9223372036854771712\n', 'memory.limit_in_bytes')).toBeNull();
    // With pages of 64 KiB.
    expect(parseLimit('9223372036854710272\n', 'memory.limit_in_bytes')).toBeNull();
    expect(parseLimit('104857600\n', 'memory.max')).toBe(104857600);
    expect(() => parseLimit('many\n', 'memory.max')).toThrow(malformed);
  });

  it('says which line of a list is malformed', () => {
    expect(parseFlatKeys('anon 4096\nfile 0\n').get('anon')).toBe(4096);
    expect(() => parseFlatKeys('anon 4096\nfile -1\n', 'x')).toThrow('x has not its documented');
  });
});
