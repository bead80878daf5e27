/** Footprints of groups that have no process in common: no page is in two, and none is lost. */
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { randomFrom } from '../random.ts';
import { fileKey, physicalBytes, Sharers } from './sharers.ts';

const pageBytes = 4096;
let sharers: Sharers;

beforeAll(() => {
  sharers = new Sharers();
});
afterEach(() => sharers.endAll());
afterAll(() => sharers.remove());

const filePages = 256;

/** Operations of a process and of those that it forks: memfds in all states of mapping. */
function operations(random: (below: number) => number, depth: number): string[] {
  const list: string[] = [];
  for (let count = 2 + random(3); count > 0; count--) {
    const slot = random(3);
    const offset = random(filePages / 2);
    const pages = 1 + random(filePages - offset);
    const range = `${slot}:${offset * pageBytes}:${pages * pageBytes}`;
    const kind = random(6);
    if (kind < 2) list.push(`map:${range}`);
    else if (kind === 2) list.push(`copy:${range}`);
    else if (kind === 3) list.push(`private:${pages * pageBytes}`);
    else if (kind === 4 && depth > 0) list.push(`anon:${pages * pageBytes}`);
    if (depth === 0) continue;
    const child = operations(random, depth - 1);
    list.push(`fork:${child.length}`, ...child);
  }
  return list;
}

function groupsOf(pids: readonly number[], random: (below: number) => number): number[][] {
  const groups: number[][] = [[], [], []];
  for (const pid of pids) groups[random(groups.length)]?.push(pid);
  return groups.filter((group) => group.length > 0);
}

/** The files that the processes have open, by device and inode. */
function heldFiles(pids: readonly number[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const pid of pids)
    for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
      const path = `/proc/${pid}/fd/${descriptor}`;
      if (readlinkSync(path).startsWith('/memfd:')) files.set(fileKey(path), path);
    }
  return files;
}

test.each([1, 2, 3, 4, 5, 6])(
  'footprints of random groups add up to what there is (seed %i)',
  async (seed) => {
    const random = randomFrom(seed);
    const files = [0, 1, 2].map(() => `memfd:${filePages * pageBytes}`);
    const pids = await sharers.start(...files, ...operations(random, 2));
    const groups = groupsOf(pids, random);
    const measured = groups.map((group) => measureGroup(group));
    const truth = physicalBytes(pids, heldFiles(pids));
    const sum = measured.reduce((bytes, { knownTotals }) => bytes + knownTotals.footprintBytes, 0);
    // The kernel cuts what smaps says of each mapping to kB.
    const cut = truth.mappings * 1024;
    expect(sum).toBeLessThanOrEqual(truth.bytes + cut);
    const most = measured.reduce(
      (bytes, { footprintRange }) => bytes + (footprintRange.mostBytes as number),
      0,
    );
    expect(most).toBeGreaterThanOrEqual(truth.bytes - cut);
  },
);
