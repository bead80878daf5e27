/** Swapped segments and huge pages: what takes a swap file and a pool of huge pages, hence root. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { Sharers } from '../group/sharers.ts';

const mb = 1 << 20;
let sharers: Sharers;

beforeAll(() => {
  sharers = new Sharers();
});
afterEach(() => sharers.endAll());
afterAll(() => sharers.remove());

describe('swapped pages of a segment', () => {
  let file: string;
  beforeAll(() => {
    file = join(sharers.folder, 'swap');
    writeFileSync(file, Buffer.alloc(128 * mb));
    chmodSync(file, 0o600);
    execFileSync('mkswap', [file]);
    execFileSync('swapon', [file]);
  });
  afterAll(() => {
    execFileSync('swapoff', [file]);
    rmSync(file);
  });

  /** The kernel may refuse to write some pages: they are locked, or were just used. */
  function expectSwapped(bytes: number | null | undefined, most: number): void {
    expect(bytes).toBeGreaterThan(most * 0.9);
    expect(bytes).toBeLessThanOrEqual(most);
  }

  test('are not resident, and not in the footprint', async () => {
    const pids = await sharers.start(`anon:${16 * mb}`, 'pageout');
    const { segments, totals } = measureGroup(pids);
    const swapped = segments[0]?.swappedBytes as number;
    expectSwapped(swapped, 16 * mb);
    expect(segments[0]?.residentBytes).toBe(16 * mb - swapped);
    expect(totals.footprintBytes).toBeLessThan(3 * mb);
  });

  test('are known where no process maps all of the file', async () => {
    const pids = await sharers.start(`memfd:${16 * mb}`, `map:0:0:${8 * mb}`, 'pageout');
    const { segments } = measureGroup(pids);
    const swapped = segments[0]?.swappedBytes as number;
    expectSwapped(swapped, 8 * mb);
    expect(segments[0]?.residentBytes).toBe(16 * mb - swapped);
    expect(segments[0]?.unmappedBytes).toBeGreaterThanOrEqual(8 * mb);
  });
});

describe('huge pages', () => {
  const pool = '/proc/sys/vm/nr_hugepages';
  const hugeBytes = 2 * mb;
  let before: string;
  beforeAll(() => {
    before = readFileSync(pool, 'utf8');
    writeFileSync(pool, String(Number(before) + 16));
    expect(Number(readFileSync(pool, 'utf8'))).toBe(Number(before) + 16);
  });
  afterAll(() => writeFileSync(pool, before));

  test("of one process are in the footprint, and PSS stays the kernel's", async () => {
    const pids = await sharers.start(`hugeanon:${4 * hugeBytes}`);
    const { processes, totals } = measureGroup(pids);
    expect(processes[0]?.hugetlbBytes).toBe(4 * hugeBytes);
    expect(processes[0]?.pssBytes).toBeLessThan(2 * mb);
    expect(totals.footprintBytes).toBe((totals.pssBytes as number) + 4 * hugeBytes);
  });

  test('that fork shares count once, and in halves for two groups', async () => {
    const pids = await sharers.start(`hugeanon:${4 * hugeBytes}`, 'fork:0');
    expect(measureGroup(pids).totals.hugetlbShareBytes).toBe(4 * hugeBytes);
    for (const pid of pids)
      expect(measureGroup([pid]).totals.hugetlbShareBytes).toBe(2 * hugeBytes);
  });

  test('of a file that is held open count without being mapped', async () => {
    const pids = await sharers.start(`huge:${4 * hugeBytes}`);
    const { segments, totals } = measureGroup(pids);
    expect(segments).toMatchObject([
      { isHugetlb: true, residentBytes: 4 * hugeBytes, unmappedBytes: 4 * hugeBytes },
    ]);
    expect(totals.hugetlbShareBytes).toBe(4 * hugeBytes);
    expect(totals.unmappedSegmentBytes).toBe(0);
  });

  test('of a file that three processes map in parts are all of the group', async () => {
    const map = `map:0:0:${2 * hugeBytes}`;
    const pids = await sharers.start(
      ...[`huge:${4 * hugeBytes}`, 'fork:1', map, 'fork:1', map, 'fork:1', map],
    );
    expect(measureGroup(pids).totals.hugetlbShareBytes).toBe(4 * hugeBytes);
  });
});
