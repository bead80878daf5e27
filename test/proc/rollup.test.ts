import { describe, expect, it } from 'vitest';
import { parseSmaps } from '../../src/proc/mappings.ts';
import { parseRollup, readRollup, readRollupAsync } from '../../src/proc/rollup.ts';
import { fixture } from './fixtures.ts';
import { withZombie } from './zombie.ts';

describe('parseRollup', () => {
  it('reads what Linux 6.18 sums', () => {
    const rollup = parseRollup(fixture('smaps_rollup.6.18'));
    const mappings = parseSmaps(fixture('smaps.6.18'));
    expect(rollup.source).toBe('rollup');
    expect(rollup.rssBytes).toBe(mappings.totalBytes('rssBytes'));
    expect(rollup.privateHugetlbBytes).toBe(2 << 20);
    const { pssAnonBytes, pssFileBytes, pssShmemBytes, pssBytes } = rollup;
    // Each is rounded down to a kB.
    const parts = (pssAnonBytes ?? 0) + (pssFileBytes ?? 0) + (pssShmemBytes ?? 0);
    expect(Math.abs(pssBytes - parts)).toBeLessThanOrEqual(3 * 1024);
  });

  it('counts huge pages of hugetlbfs as unique', () => {
    const rollup = parseRollup(fixture('smaps_rollup.6.18'));
    expect(rollup.ussBytes).toBe(
      (rollup.privateCleanBytes ?? 0) + (rollup.privateDirtyBytes ?? 0) + (2 << 20),
    );
  });

  it('has null for what an older kernel does not sum', () => {
    const older = parseRollup(fixture('smaps_rollup.4.18'));
    expect(older).toMatchObject({ pssAnonBytes: null, pssDirtyBytes: null, ksmBytes: null });
    expect(older.rssBytes).toBeGreaterThan(0);
    expect(parseRollup(fixture('smaps_rollup.5.14')).pssAnonBytes).toBeGreaterThan(0);
  });

  it.each(['', 'Rss: 4 kB\n', fixture('maps.6.18').toString()])(
    'says ERR_MALFORMED for a text that is no rollup',
    (text) => {
      expect(() => parseRollup(Buffer.from(text))).toThrow(
        expect.objectContaining({ code: 'ERR_MALFORMED' }),
      );
    },
  );
});

describe('readRollup', () => {
  it('reads this process on both paths', async () => {
    for (const rollup of [readRollup('self'), await readRollupAsync(process.pid)]) {
      expect(rollup.rssBytes).toBeGreaterThanOrEqual(rollup.ussBytes);
      expect(rollup.pssBytes).toBeGreaterThanOrEqual(rollup.ussBytes - 1024);
    }
  });

  it('takes the sums from smaps when the kernel refuses the rollup of a live process', async () => {
    // smaps_rollup of a zombie is ESRCH, and a zombie is there.
    await withZombie(async (pid) => {
      const expected = { source: 'smaps', rssBytes: 0, pssBytes: 0, ussBytes: 0 };
      expect(readRollup(pid)).toMatchObject(expected);
      expect(await readRollupAsync(pid)).toMatchObject(expected);
    });
  });

  it('says ERR_GONE for a process that is not there', async () => {
    expect(() => readRollup(0)).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
    await expect(readRollupAsync(0)).rejects.toMatchObject({ code: 'ERR_GONE' });
  });
});
