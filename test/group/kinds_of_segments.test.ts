/** Segments that real processes make in every way, with sizes that are known. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { Sharers } from './sharers.ts';

const mb = 1 << 20;
const shmPath = `/dev/shm/memdrift-test-kinds-${process.pid}`;
let sharers: Sharers;

beforeAll(() => {
  sharers = new Sharers();
});
afterEach(async () => {
  await sharers.endAll();
  rmSync(shmPath, { force: true });
  rmSync(`${shmPath} (deleted)`, { force: true });
});
afterAll(() => sharers.remove());

describe('segments of a group', () => {
  test.each([
    ['a memfd', `memfd:${12 * mb}`, /^\/memfd:sharer$/],
    ['an unlinked file of /dev/shm', `file:${12 * mb}:${shmPath}`, /^\/dev\/shm\//],
  ])('%s that is held open counts without being mapped', async (_, operation, name) => {
    const pids = await sharers.start(operation);
    rmSync(shmPath, { force: true });
    const { segments, totals } = measureGroup(pids);
    expect(segments).toMatchObject([
      { residentBytes: 12 * mb, unmappedBytes: 12 * mb, chargedBytes: 12 * mb, deleted: true },
    ]);
    expect(segments[0]?.name).toMatch(name);
    expect(segments[0]?.holders).toMatchObject([{ pid: pids[0], rssBytes: 0, descriptors: 1 }]);
    expect(totals.unmappedSegmentBytes).toBe(12 * mb);
    expect(totals.footprintBytes).toBe((totals.pssBytes as number) + 12 * mb);
  });

  test('pages that several processes map in parts count once, others as unmapped', async () => {
    // 12 MB; 0 to 4 and 2 to 6 are mapped.
    const pids = await sharers.start(
      ...[`memfd:${12 * mb}`, 'fork:1', `map:0:0:${4 * mb}`],
      ...['fork:1', `map:0:${2 * mb}:${4 * mb}`],
    );
    const { segments, totals } = measureGroup(pids);
    expect(totals.unmappedSegmentBytes).toBe(6 * mb);
    expect(segments[0]?.holders).toHaveLength(3);
    expect(segments[0]?.holders.map(({ rssBytes }) => rssBytes).sort()).toEqual([
      ...[0, 4 * mb, 4 * mb],
    ]);
  });

  test('a System V segment is one, and has nothing that is not mapped', async () => {
    const pids = await sharers.start(`sysv:${8 * mb}`, 'fork:0');
    const { segments, totals } = measureGroup(pids);
    expect(segments).toMatchObject([
      { name: '/SYSV00000000', residentBytes: 8 * mb, unmappedBytes: 0, chargedBytes: 0 },
    ]);
    expect(totals.footprintBytes).toBe(totals.pssBytes);
  });

  test('pages of shared anonymous memory count after their entries were given up', async () => {
    const pids = await sharers.start(`anon:${8 * mb}`, 'forget');
    const { segments, totals } = measureGroup(pids);
    expect(segments).toMatchObject([{ residentBytes: 8 * mb, unmappedBytes: 8 * mb }]);
    expect(totals.unmappedSegmentBytes).toBe(8 * mb);
  });

  test('a live file whose name ends in " (deleted)" keeps it', async () => {
    const pids = await sharers.start(`file:${mb}:${shmPath}`, `map:0:0:${mb}`);
    renameSync(shmPath, `${shmPath} (deleted)`);
    expect(measureGroup(pids).segments).toMatchObject([
      { name: `${shmPath} (deleted)`, deleted: false },
    ]);
    rmSync(`${shmPath} (deleted)`);
    expect(measureGroup(pids).segments).toMatchObject([
      { name: `${shmPath} (deleted)`, deleted: true },
    ]);
  });

  test('a page that a process outside of the group maps is no unmapped one', async () => {
    const pids = await sharers.start(
      ...[`memfd:${8 * mb}`, 'fork:1', `map:0:0:${8 * mb}`, 'fork:1', `map:0:0:${8 * mb}`],
    );
    const [one, two, first] = pids as [number, number, number];
    const all = measureGroup(pids);
    expect(all.totals.unmappedSegmentBytes).toBe(0);
    const { segments, totals } = measureGroup([one]);
    expect(segments).toMatchObject([{ unmappedBytes: 0, outsideHolders: 2 }]);
    expect(segments[0]?.holders[0]?.pssBytes).toBe(4 * mb);
    expect(totals.footprintBytes).toBe(totals.pssBytes);
    expect(measureGroup([two, first]).totals.unmappedSegmentBytes).toBe(0);
  });

  test('unmapped pages count for each process that holds the segment in equal parts', async () => {
    const pids = await sharers.start(`memfd:${8 * mb}`, 'fork:0', 'fork:0', 'fork:0');
    for (const pid of pids) expect(measureGroup([pid]).totals.unmappedSegmentBytes).toBe(2 * mb);
    expect(measureGroup(pids.slice(1)).totals.unmappedSegmentBytes).toBe(6 * mb);
  });

  test("unmapped pages of a named segment are the whole group's", async () => {
    await sharers.start(`file:${4 * mb}:${shmPath}`);
    expect(existsSync(shmPath)).toBe(true);
    const { segments, totals } = measureGroup(['self'], { segments: [shmPath] });
    expect(segments.find(({ name }) => name === shmPath)).toMatchObject({
      ...{ unmappedBytes: 4 * mb, chargedBytes: 4 * mb, holders: [], outsideHolders: 1 },
    });
    expect(totals.unmappedSegmentBytes).toBeGreaterThanOrEqual(4 * mb);
  });
});
