import { describe, expect, it } from 'vitest';
import { readResidency, readResidencyAsync } from '../../src/proc/residency.ts';
import { withZombie } from './zombie.ts';

describe('readResidency', () => {
  it('reads this process on both paths, and its rows add up', async () => {
    for (const residency of [readResidency('self'), await readResidencyAsync(process.pid)]) {
      expect(residency.length).toBeGreaterThan(10);
      for (const mapping of residency)
        expect(mapping.rssBytes).toBe(mapping.anonymousBytes + mapping.fileBytes);
      const rss = residency.rssBytes.reduce((sum, bytes) => sum + bytes, 0);
      expect(rss).toBeGreaterThan(1 << 20);
      expect(residency.reason === '').toBe(residency.source === 'pagemap');
    }
  });

  it('sees pages when they are touched', () => {
    const sizeBytes = 32 << 20;
    const before = readResidency('self').anonymousBytes.reduce((a, b) => a + b, 0);
    const touched = Buffer.alloc(sizeBytes, 1);
    const after = readResidency('self').anonymousBytes.reduce((a, b) => a + b, 0);
    expect(after - before).toBeGreaterThan(0.9 * sizeBytes);
    expect(touched[sizeBytes - 1]).toBe(1);
  });

  it('finds nothing resident in a zombie', async () => {
    await withZombie(async (pid) => {
      expect(readResidency(pid)).toMatchObject({ length: 0, source: 'smaps' });
    });
  });

  it('says ERR_GONE for a process that is not there', async () => {
    expect(() => readResidency(0)).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
    await expect(readResidencyAsync(0)).rejects.toMatchObject({ code: 'ERR_GONE' });
  });
});
