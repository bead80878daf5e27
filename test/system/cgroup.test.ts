import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findCgroup, readCgroup, readCgroupProcesses, readHeapLimit } from '../../src/index.ts';
import { Children } from '../children.ts';
import { Holders } from './holders.ts';

const MB = 1_000_000;
// On a disk, so that its pages are page cache and not shared memory.
const diskFile = join(import.meta.dirname, `../../memdrift-test-${process.pid}`);
let holders: Holders;
const children = new Children();

beforeEach(() => {
  holders = new Holders();
});

afterEach(async () => {
  await children.endAll();
  await holders.end();
  rmSync(diskFile, { force: true });
});

function expectNear(actual: number | null, expected: number, part: number): void {
  expect(actual).not.toBeNull();
  expect(Math.abs((actual as number) / expected - 1)).toBeLessThanOrEqual(part);
}

/** 40 MB of heap, 20 MB of shared memory that two map, 30 MB of page cache. */
async function hold() {
  const shared = holders.file('shared');
  const one = await holders.start();
  const two = await holders.start();
  await one.ask(`heap ${40 * MB}`);
  await one.ask(`write ${20 * MB} ${shared}`);
  await two.ask(`read ${20 * MB} ${shared}`);
  await one.ask(`write ${30 * MB} ${diskFile}`);
  return [one.pid, two.pid];
}

test('a cgroup of known content is split into it, each page once', async () => {
  const before = readCgroup(holders.cgroup);
  const pids = await hold();
  const cgroup = findCgroup(pids[0] as number);
  expect(cgroup?.folder).toBe(holders.cgroup);
  expect([...readCgroupProcesses(holders.cgroup).pids].sort()).toEqual([...pids].sort());
  const memory = readCgroup(holders.cgroup, cgroup?.mountFolder as string);
  expectNear(memory.anonBytes, 40 * MB, 0.02);
  expectNear(memory.shmemBytes, 20 * MB, 0.01);
  expectNear((memory.fileBytes ?? 0) - (before.fileBytes ?? 0), 30 * MB, 0.03);
  expect(memory.kernelBytes).toBeGreaterThan(0);
  // What is left is charged ahead by each processor, 64 pages at a time, and what lags.
  expect(Math.abs(memory.restBytes ?? Infinity)).toBeLessThan(2 * MB);
  expectNear(memory.currentBytes, 91.5 * MB, 0.04);
  expect(memory.peakBytes).toBeGreaterThanOrEqual(90 * MB);
});

test('the limit of a cgroup above holds for a process, and its being met is counted', async () => {
  const inner = holders.innerCgroup();
  const { version } = readCgroup(inner);
  const limit = version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
  writeFileSync(join(holders.cgroup, limit), String(64 << 20));
  expect(readCgroup(inner)).toMatchObject({
    effectiveLimitBytes: 64 << 20,
    effectiveLimitFolder: holders.cgroup,
  });
  const holder = await holders.start(inner);
  expect(findCgroup(holder.pid)?.folder).toBe(inner);
  await expect(holder.ask(`heap ${80 << 20}`)).rejects.toThrow('ended');
  const [outside, inside] = [readCgroup(holders.cgroup), readCgroup(inner)];
  expect(outside.limitHits).toBeGreaterThan(0);
  expect(Math.max(outside.oomKills ?? 0, inside.oomKills ?? 0)).toBeGreaterThan(0);
});

test("a heap's limit is told from its own cgroup's, and is above the one that kills", async () => {
  const inner = holders.innerCgroup();
  const { version } = readCgroup(inner);
  const limit = version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
  const script =
    "console.log(require('v8').getHeapStatistics().heap_size_limit); setInterval(() => {}, 1000)";
  writeFileSync(join(inner, limit), String(1 << 30));
  writeFileSync(join(holders.cgroup, limit), String(400 << 20));
  const command = `echo && echo $$ > ${inner}/cgroup.procs && exec "$0" -e "${script}"`;
  const child = await children.run('sh', ['-c', command, process.execPath]);
  const stated = Number(await child.line());
  expect(readHeapLimit(child.pid)).toMatchObject({
    limitBytes: stated,
    memoryBytes: 1 << 30,
    cgroupLimitBytes: 400 << 20,
    isAboveCgroup: true,
  });
});
