import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMappings, readResidency } from '../../src/index.ts';
import { Targets } from './target.ts';

const hugePagesFile = '/proc/sys/vm/nr_hugepages';
const neededHugePages = 32;

function expectLikeSmaps(pid: number): void {
  const residency = readResidency(pid);
  expect(residency.reason).toBe('');
  const smaps = [...readMappings(pid)];
  expect(residency.length).toBe(smaps.length);
  for (const [i, mapping] of smaps.entries()) {
    const { startAddress, name, rssBytes, anonymousBytes, swapBytes } = mapping;
    const fileBytes = (rssBytes ?? 0) - (anonymousBytes ?? 0);
    expect(residency.at(i)).toMatchObject({
      startAddress,
      name,
      rssBytes,
      anonymousBytes,
      fileBytes,
      swapBytes,
    });
  }
}

describe('readResidency by PAGEMAP_SCAN', () => {
  let targets: Targets;
  let before: string;

  beforeAll(() => {
    targets = new Targets();
    before = readFileSync(hugePagesFile, 'utf8');
    writeFileSync(hugePagesFile, String(Number(before) + neededHugePages));
  });
  afterAll(async () => {
    await targets.end();
    writeFileSync(hugePagesFile, before);
  });

  it('is what smaps says: zero pages, copies, shared memory, PROT_NONE, special ones', async () => {
    expectLikeSmaps(await targets.start());
  });

  it('leaves hugetlb pages out, as smaps does', async () => {
    const pid = await targets.start('hugetlb');
    const hugeBytes = readMappings(pid).totalBytes('privateHugetlbBytes') ?? 0;
    expect(hugeBytes).toBeGreaterThanOrEqual(4 << 20);
    expectLikeSmaps(pid);
  });

  it('leaves pages of a hugetlbfs mount out', async () => {
    const mount = join(targets.folder, 'mount');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'hugetlbfs', 'hugetlbfs', mount]);
    try {
      const pid = await targets.start('hugetlb', mount);
      const names = [...readMappings(pid)].map((mapping) => mapping.name);
      expect(names).toContain(join(mount, 'huge'));
      expectLikeSmaps(pid);
      process.kill(pid, 'SIGKILL');
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });
});
