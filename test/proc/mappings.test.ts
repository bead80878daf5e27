import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isMemdriftError } from '../../src/errors.ts';
import {
  type Mapping,
  type MappingField,
  mappingFields,
  parseMaps,
  parseSmaps,
  readMappings,
  readMappingsAsync,
  readMaps,
  readMapsAsync,
} from '../../src/proc/mappings.ts';
import { fixture } from './fixtures.ts';
import { withZombie } from './zombie.ts';

function errorOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

function named(mappings: Iterable<Mapping>, name: string): Mapping {
  for (const mapping of mappings) if (mapping.name === name) return mapping;
  throw new Error(`no mapping is called ${name}`);
}

const header = '00400000-00401000 r-xp 00000000 fe:00 12   /bin/x\n';

describe('mappingFields', () => {
  it('is the native list, in its order', () => {
    const list = readFileSync(new URL('../../native/proc/smaps_fields.h', import.meta.url), 'utf8');
    const native = [...list.matchAll(/^ {2}X\(\w+, \w+, (\w+)\)/gm)].map((match) => match[1]);
    expect(mappingFields).toEqual(native);
  });
});

describe('parseSmaps', () => {
  const missing: Record<string, MappingField[]> = {
    '3.10': ['lazyFreeBytes', 'swapPssBytes', 'sharedHugetlbBytes', 'pssDirtyBytes', 'ksmBytes'],
    '4.18': ['filePmdMappedBytes', 'thpEligible', 'pssDirtyBytes', 'ksmBytes', 'nonlinearBytes'],
    '5.14': ['pssDirtyBytes', 'ksmBytes', 'nonlinearBytes'],
    '6.18': ['nonlinearBytes', 'protectionKey'],
  };

  for (const [kernel, fields] of Object.entries(missing)) {
    it(`reads all that Linux ${kernel} reports, and null where it reports nothing`, () => {
      const mappings = parseSmaps(fixture(`smaps.${kernel}`));
      const text = fixture(`smaps.${kernel}`).toString();
      expect(mappings.length).toBe(text.match(/^[0-9a-f]+-/gm)?.length);
      expect(mappings.unknownFields.size).toBe(0);
      for (const field of fields) {
        expect(mappings.totalBytes(field), field).toBeNull();
        expect(mappings.column(field)).toEqual(new Float64Array(mappings.length).fill(Number.NaN));
        expect(mappings.at(0)[field]).toBeNull();
      }
      for (const [kernelName, field] of [
        ['Size', 'sizeBytes'],
        ['Rss', 'rssBytes'],
        ['Pss', 'pssBytes'],
        ['Private_Dirty', 'privateDirtyBytes'],
        ['Anonymous', 'anonymousBytes'],
        ['MMUPageSize', 'mmuPageSizeBytes'],
      ] as const) {
        const lines = [...text.matchAll(new RegExp(`^${kernelName}: +(\\d+) kB$`, 'gm'))];
        const bytes = lines.map((line) => 1024 * Number(line[1]));
        expect([...mappings.column(field)], field).toEqual(bytes);
        expect(mappings.totalBytes(field)).toBe(bytes.reduce((a, b) => a + b));
      }
    });
  }

  it('sums a field over the mappings that have it', () => {
    expect(parseSmaps(fixture('smaps.3.10')).totalBytes('nonlinearBytes')).toBe(4096);
    expect(parseSmaps(fixture('smaps.4.18')).totalBytes('protectionKey')).toBe(0);
  });

  it('tells names from escapes and deleted files', () => {
    const mappings = parseSmaps(fixture('smaps.6.18'));
    expect(named(mappings, '/tmp/data/with space.bin').deleted).toBe(false);
    expect(named(mappings, '/tmp/data/new\nline.bin').rssBytes).toBe(4096);
    expect(named(mappings, '/tmp/data/back\\slash.bin').permissions).toBe('rw-s');
    expect(named(mappings, '/tmp/data/gone.bin').deleted).toBe(true);
    expect(named(mappings, '/memfd:a name')).toMatchObject({ deleted: true, inode: 1205n });
    expect(named(mappings, '/tmp/data/copied.bin').anonymousBytes).toBe(4096);
  });

  it('has the whole row of a mapping', () => {
    expect(named(parseSmaps(fixture('smaps.6.18')), '/anon_hugepage')).toMatchObject({
      startAddress: 0x7fc4d1c00000,
      endAddress: 0x7fc4d1e00000,
      permissions: 'rw-p',
      offsetBytes: 0,
      deviceMajor: 0,
      deviceMinor: 0x11,
      inode: 65610n,
      deleted: true,
      sizeBytes: 2 << 20,
      kernelPageSizeBytes: 2 << 20,
      rssBytes: 0,
      privateHugetlbBytes: 2 << 20,
      thpEligible: 0,
      vmFlags: ['rd', 'wr', 'mr', 'mw', 'me', 'de', 'ht'],
    });
  });

  it('is exact at 57-bit and kernel addresses, with 64-bit inodes', () => {
    const text =
      'fffffffffff000-1000000000000000 rw-s fffffffffffff000 103:1ff 18446744073709551615 /f\n' +
      'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]\n';
    const [high, vsyscall] = [...parseSmaps(Buffer.from(text))];
    expect(BigInt(high?.startAddress ?? 0)).toBe(0xff_ffff_ffff_f000n);
    expect(BigInt(high?.offsetBytes ?? 0)).toBe(0xffff_ffff_ffff_f000n);
    expect(high).toMatchObject({ inode: 2n ** 64n - 1n, deviceMajor: 0x103, deviceMinor: 0x1ff });
    expect(BigInt(vsyscall?.startAddress ?? 0)).toBe(0xffff_ffff_ff60_0000n);
    expect(vsyscall?.vmFlags).toEqual([]);
  });

  it('reads a text that ends without a newline', () => {
    const text = fixture('smaps.6.18');
    const whole = parseSmaps(text);
    const cut = parseSmaps(text.subarray(0, text.length - 1));
    expect([...cut]).toEqual([...whole]);
    expect(parseSmaps(Buffer.from(`${header}Rss:   12 kB`)).at(0).rssBytes).toBe(12288);
  });

  it('keeps fields that it does not know by their name, bytes for kB and NaN for text', () => {
    const text = `${header}Rss: 4 kB\n${header}Rss: 8 kB\nMagic: 3 kB\nCount: 7\nName: [x]\n`;
    const { unknownFields } = parseSmaps(Buffer.from(text));
    expect([...unknownFields.keys()]).toEqual(['Magic', 'Count', 'Name']);
    expect(unknownFields.get('Magic')).toEqual(Float64Array.of(Number.NaN, 3072));
    expect(unknownFields.get('Count')).toEqual(Float64Array.of(Number.NaN, 7));
    expect(unknownFields.get('Name')).toEqual(Float64Array.of(Number.NaN, Number.NaN));
  });

  it('reads numbers wider than their column', () => {
    const text = `${header}Size:           137438953472 kB\nRss:                   0 kB\n`;
    expect(parseSmaps(Buffer.from(text)).at(0).sizeBytes).toBe(137438953472 * 1024);
  });

  it('has no mappings in an empty text, and then sums of 0', () => {
    const mappings = parseSmaps(new Uint8Array());
    expect(mappings.length).toBe(0);
    expect(mappings.totalBytes('rssBytes')).toBe(0);
    expect([...mappings]).toEqual([]);
  });

  it.each([
    ['line 1', 'Rss: 4 kB\n'],
    ['line 1', '\n'],
    ['line 2', `${header}no colon here\n`],
    ['line 2', `${header}Rss:    4x kB\n`],
    ['line 2', `${header}Rss:    99999999999999999999 kB\n`],
    ['line 1', '00400000-00401000 r-xq 00000000 fe:00 12\n'],
    ['line 1', '00401000-00400000 r-xp 00000000 fe:00 12\n'],
    ['line 1', '00400001-00401000 r-xp 00000000 fe:00 12\n'],
    ['line 1', '00400000-00401000 r-xp 00000000 fe:00\n'],
    ['line 1', '00400000-00401000 \n'],
    ['line 3', `${header}Rss: 1 kB\n10000000000000000000-20000000000000000000 r-xp 0 00:00 0\n`],
  ])('says ERR_MALFORMED with %s and its text: %j', (line, text) => {
    const error = errorOf(() => parseSmaps(Buffer.from(text)));
    expect(isMemdriftError(error, 'ERR_MALFORMED')).toBe(true);
    expect((error as Error).message).toContain(`smaps ${line} `);
  });

  it('refuses what is not bytes, and rows that there are not', () => {
    const error = errorOf(() => parseSmaps('text' as unknown as Uint8Array));
    expect(isMemdriftError(error, 'ERR_INVALID')).toBe(true);
    const one = parseSmaps(Buffer.from(header));
    for (const i of [-1, 1, 0.5, Number.NaN])
      expect(
        isMemdriftError(
          errorOf(() => one.at(i)),
          'ERR_INVALID',
        ),
      ).toBe(true);
  });

  it('reads bytes at an offset of their buffer', () => {
    const bytes = Buffer.concat([Buffer.from('xyz'), Buffer.from(header)]).subarray(3);
    expect(parseSmaps(bytes).at(0).name).toBe('/bin/x');
  });
});

describe('parseMaps', () => {
  it('has the places that smaps has', () => {
    const maps = parseMaps(fixture('maps.6.18'));
    const smaps = [...parseSmaps(fixture('smaps.6.18'))];
    expect(maps.length).toBe(smaps.length);
    for (const [i, place] of maps.entries()) expect(smaps[i]).toMatchObject(place);
  });

  it('says ERR_MALFORMED with the line', () => {
    const error = errorOf(() => parseMaps(Buffer.from(`${header}Rss: 4 kB\n`)));
    expect(isMemdriftError(error, 'ERR_MALFORMED')).toBe(true);
    expect((error as Error).message).toContain('maps line 2');
  });
});

describe('readMappings', () => {
  it('reads this process on both paths', async () => {
    for (const mappings of [
      readMappings('self'),
      readMappings(process.pid),
      await readMappingsAsync('self'),
    ]) {
      expect(mappings.length).toBeGreaterThan(10);
      expect(mappings.totalBytes('rssBytes')).toBeGreaterThan(1 << 20);
      expect(named(mappings, '[stack]').permissions).toMatch(/^rw/);
    }
    expect(readMaps('self').length).toBeGreaterThan(10);
    expect((await readMapsAsync(process.pid)).length).toBeGreaterThan(10);
  });

  it('says ERR_GONE for a process that is not there', async () => {
    const notThere = 2 ** 22 + 1;
    for (const pid of [0, notThere]) {
      expect(
        isMemdriftError(
          errorOf(() => readMappings(pid)),
          'ERR_GONE',
        ),
      ).toBe(true);
      await expect(readMappingsAsync(pid)).rejects.toMatchObject({ code: 'ERR_GONE' });
    }
  });

  it('says ERR_INVALID for what is no pid', async () => {
    for (const pid of [-1, 1.5, Number.NaN, 2 ** 31, '1' as unknown as number]) {
      expect(
        isMemdriftError(
          errorOf(() => readMappings(pid)),
          'ERR_INVALID',
        ),
      ).toBe(true);
      await expect(readMappingsAsync(pid)).rejects.toMatchObject({ code: 'ERR_INVALID' });
    }
  });

  it('finds no mappings in a zombie', async () => {
    await withZombie(async (pid) => {
      expect(readMappings(pid).length).toBe(0);
      expect((await readMappingsAsync(pid)).totalBytes('pssBytes')).toBe(0);
    });
  });
});
