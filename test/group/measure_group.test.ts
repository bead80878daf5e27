import { rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { Children, idleScript } from '../children.ts';
import { withZombie } from '../proc/zombie.ts';

const children = new Children();
const files: string[] = [];

afterEach(async () => {
  await children.endAll();
  for (const file of files.splice(0)) rmSync(file, { force: true });
});

function segmentFile(sizeBytes: number): string {
  const path = `/dev/shm/memdrift-test-group-${process.pid}-${files.length}`;
  files.push(path);
  writeFileSync(path, Buffer.alloc(sizeBytes, 1));
  return path;
}

function coded(code: string) {
  return expect.objectContaining({ name: 'MemdriftError', code });
}

describe('measureGroup', () => {
  test('rows add up to the totals, and the footprint to its parts', async () => {
    const { pid } = await children.node(idleScript);
    const { processes, totals, knownTotals, footprintRange, unknownPids } = measureGroup([
      'self',
      pid,
    ]);
    expect(processes.map((one) => one.pid)).toEqual([process.pid, pid]);
    for (const field of ['rssBytes', 'ussBytes', 'pssBytes', 'sharedBytes'] as const) {
      const sum = processes.reduce((total, one) => total + (one[field] as number), 0);
      expect(totals[field]).toBe(sum);
    }
    const { pssBytes, unmappedSegmentBytes, footprintBytes } = knownTotals;
    expect(footprintBytes).toBe(pssBytes + unmappedSegmentBytes);
    expect(footprintRange).toEqual({ leastBytes: footprintBytes, mostBytes: footprintBytes });
    expect(totals).toEqual(knownTotals);
    expect(unknownPids).toEqual([]);
    expect(totals.footprintBytes).toBeLessThan(totals.rssBytes as number);
  });

  test('a process is counted once however often it is named', () => {
    expect(measureGroup(['self', process.pid]).processes).toHaveLength(1);
  });

  test('pages of a named segment that nobody maps are in the footprint', () => {
    const path = segmentFile(4_194_304);
    const { segments, totals } = measureGroup(['self'], { segments: [path] });
    expect(segments).toEqual([
      {
        name: path,
        device: expect.stringMatching(/^\d+:\d+$/),
        inode: statSync(path).ino,
        deleted: false,
        sizeBytes: 4_194_304,
        residentBytes: 4_194_304,
        swappedBytes: 0,
        unmappedBytes: 4_194_304,
        chargedBytes: 4_194_304,
        isHugetlb: false,
        holders: [],
        outsideHolders: 0,
      },
    ]);
    expect(totals.unmappedSegmentBytes).toBe(4_194_304);
  });

  test('descendants belong to the group when asked for', async () => {
    const { pid } = await children.node(idleScript);
    const alone = measureGroup(['self']);
    expect(alone.processes).toHaveLength(1);
    const { processes, options } = measureGroup(['self'], { tree: true });
    expect(processes.map((one) => one.pid)).toContain(pid);
    expect(options).toEqual({ pids: [process.pid], tree: true, segments: null });
  });

  test('a zombie has no memory, which is known', async () => {
    await withZombie(async (pid) => {
      const { processes, totals, unknownPids } = measureGroup([pid]);
      expect(processes[0]).toMatchObject({ state: 'Z', rssBytes: 0, pssBytes: 0, sharedBytes: 0 });
      expect(processes[0]?.peakRssBytes).toBeNull();
      expect(totals.footprintBytes).toBe(0);
      expect(unknownPids).toEqual([]);
    });
  });

  test('a pid that is gone is an error by name, one below it is not', async () => {
    const child = await children.node(idleScript);
    await child.end();
    expect(() => measureGroup([process.pid, child.pid])).toThrow(coded('ERR_GONE'));
  });

  test('refuses what is no group', () => {
    expect(() => measureGroup([])).toThrow(coded('ERR_INVALID'));
    expect(() => measureGroup([-5])).toThrow(coded('ERR_INVALID'));
    expect(() => measureGroup(['self'], { segments: ['/dev/shm/none'] })).toThrow(
      coded('ERR_GONE'),
    );
  });
});
