import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type CgroupMemory,
  findCgroup,
  readCgroup,
  readCgroupProcesses,
} from '../../src/proc/cgroup.ts';

const MiB = 1 << 20;
const fixtures = fileURLToPath(new URL('../fixtures/cgroup/', import.meta.url));
const temporary: string[] = [];

afterEach(() => {
  for (const folder of temporary.splice(0)) rmSync(folder, { recursive: true });
});

function recorded(name: string, folder = 'a/b'): CgroupMemory {
  return readCgroup(join(fixtures, name, folder), join(fixtures, name));
}

/** A copy of a recorded hierarchy that a test may change. */
function copyOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-cgroup-'));
  temporary.push(folder);
  cpSync(join(fixtures, name), folder, { recursive: true });
  return folder;
}

function expectSum(memory: CgroupMemory): void {
  const { anonBytes, fileBytes, shmemBytes, kernelBytes, socketBytes, restBytes } = memory;
  const parts = [anonBytes, fileBytes, shmemBytes, kernelBytes, restBytes];
  for (const part of parts) expect(part).not.toBeNull();
  const sum = parts.reduce<number>((all, part) => all + (part ?? 0), socketBytes ?? 0);
  expect(sum).toBe(memory.currentBytes);
}

const kernels = ['v2-6.1', 'v2-6.12', 'v1-6.1'];

describe('readCgroup', () => {
  it.each(kernels)('splits what %s is charged, and the parts add up', (name) => {
    const memory = recorded(name);
    expectSum(memory);
    expect((memory.anonBytes ?? 0) / MiB).toBeCloseTo(60, 0);
    expect((memory.anonHugeBytes ?? 0) / MiB).toBeGreaterThanOrEqual(56);
    const swapped = ((memory.swapBytes ?? 0) + (memory.shmemBytes ?? 0)) / MiB;
    expect(swapped).toBeCloseTo(20, 0);
    expect((memory.fileBytes ?? 0) / MiB).toBeCloseTo(name === 'v2-6.12' ? 0 : 10, 0);
    expect(memory.reclaimableBytes).toBeGreaterThanOrEqual(memory.fileBytes ?? Infinity);
    expect(Math.abs(memory.restBytes ?? Infinity)).toBeLessThan(MiB / 2);
    expect(memory.peakBytes).toBeGreaterThanOrEqual(memory.currentBytes ?? Infinity);
  });

  it.each(kernels)('finds the lowest limit of all above in %s', (name) => {
    const memory = recorded(name);
    expect(memory.effectiveLimitBytes).toBe(200 * MiB);
    expect(memory.effectiveLimitFolder).toBe(join(fixtures, name, 'a'));
  });

  it('tells every limit on the way up, not the lowest alone', () => {
    const memory = recorded('v2-6.1', 'a/c');
    expect(memory.effectiveLimitBytes).toBe(20 * MiB);
    expect(memory.limits.map(({ limitBytes }) => limitBytes)).toEqual([20 * MiB, 200 * MiB]);
  });

  it('knows what version 2 slows down at, who was killed, and how often the limit was met', () => {
    expect(recorded('v2-6.1').limits[0]).toMatchObject({ limitBytes: null, highBytes: 150 * MiB });
    expect(recorded('v2-6.1', 'a/c')).toMatchObject({ oomKills: 1, limitHits: 35 });
    expect(recorded('v1-6.1')).toMatchObject({ oomKills: 0, limitHits: 0, swapLimitBytes: null });
  });

  it("has version 1's limit above what is mounted, which memory.stat tells", () => {
    const folder = copyOf('v1-6.1');
    expect(readCgroup(join(folder, 'a/b'), join(folder, 'a/b'))).toMatchObject({
      effectiveLimitBytes: 200 * MiB,
      effectiveLimitFolder: null,
    });
  });

  it('has null for what older kernels do not tell, and what they tell instead of it', () => {
    // As Linux 5.4 has it: no peak, no kernel line, and no line for page tables.
    const folder = copyOf('v2-6.1');
    const stat = join(folder, 'a/b/memory.stat');
    const lines = readFileSync(stat, 'utf8').split('\n');
    const later = /^(kernel|pagetables|sec_pagetables|percpu|vmalloc|swapcached) /;
    writeFileSync(stat, lines.filter((line) => !later.test(line)).join('\n'));
    rmSync(join(folder, 'a/b/memory.peak'));
    const memory = readCgroup(join(folder, 'a/b'), folder);
    expect(memory).toMatchObject({ peakBytes: null, pageTableBytes: null, swapCachedBytes: null });
    const { kernelStackBytes, slabReclaimableBytes, slabUnreclaimableBytes } = memory;
    expect(memory.kernelBytes).toBe(
      (kernelStackBytes ?? 0) + (slabReclaimableBytes ?? 0) + (slabUnreclaimableBytes ?? 0),
    );
    expectSum(memory);
  });

  it('has null, not 0, for a root that is not charged', () => {
    expect(recorded('v2-6.1', '.')).toMatchObject({ currentBytes: null, restBytes: null });
  });

  it('says ERR_GONE without a cgroup, and ERR_UNSUPPORTED for one without memory', () => {
    const gone = expect.objectContaining({ code: 'ERR_GONE' });
    expect(() => readCgroup('/sys/fs/cgroup/no/such')).toThrow(gone);
    const folder = mkdtempSync(join(tmpdir(), 'memdrift-cgroup-'));
    temporary.push(folder);
    writeFileSync(join(folder, 'cgroup.procs'), '');
    const unsupported = expect.objectContaining({ code: 'ERR_UNSUPPORTED' });
    expect(() => readCgroup(folder)).toThrow(unsupported);
  });
});

describe('readCgroupProcesses', () => {
  it('has those of all cgroups beneath it, and counts those of other namespaces', () => {
    const folder = copyOf('v2-6.1');
    const own = readFileSync(join(folder, 'a/b/cgroup.procs'), 'utf8').trim().split('\n');
    writeFileSync(join(folder, 'a/c/cgroup.procs'), '77\n0\n0\n');
    const { pids, hidden } = readCgroupProcesses(join(folder, 'a'));
    expect([...pids].sort((a, b) => a - b)).toEqual([77, ...own.map(Number)]);
    expect(hidden).toBe(2);
  });
});

describe('findCgroup', () => {
  it('is the same for this process by its number, and its memory can be read', () => {
    const cgroup = findCgroup('self');
    expect(findCgroup(process.pid)).toEqual(cgroup);
    if (!cgroup?.folder || !cgroup.mountFolder) return;
    expect(readCgroupProcesses(cgroup.folder).pids).toContain(process.pid);
    expect(readCgroup(cgroup.folder, cgroup.mountFolder).version).toBe(cgroup.version);
  });

  it('says ERR_GONE for a process that does not exist', () => {
    expect(() => findCgroup(2 ** 31 - 1)).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
  });
});
