/** A group as it is looked at: real processes, compared with one exact look at them. */
import { afterEach, describe, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { Segment } from '../../src/shm/segment.ts';
import { TopGroup, type TopOptions } from '../../src/top/top_group.ts';
import type { TopModel } from '../../src/top/top_model.ts';
import { Children, idleScript } from '../children.ts';

const children = new Children();
const groups: TopGroup[] = [];
afterEach(async () => {
  await Promise.all(groups.splice(0).map((group) => group.close()));
  await children.endAll();
});

function groupOf(options: Partial<TopOptions>): TopGroup {
  const rest = { intervalMs: 20, budgetPercent: 50, segments: null };
  const group = new TopGroup({ pids: [], ...rest, ...options });
  groups.push(group);
  return group;
}

/** The first look that has what is wanted. */
function lookWith(group: TopGroup, has: (look: TopModel) => boolean): Promise<TopModel> {
  return new Promise((resolve) => {
    group.watch((look) => {
      if (has(look)) resolve(look);
    });
  });
}

describe('one look', () => {
  test('has what ps has of a tree: PSS, USS, and each page once', async () => {
    const { pid } = await children.node(
      `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(
        'console.log(1); process.stdin.resume()',
      )}], { stdio: ['pipe', 'inherit', 'inherit'] })`,
    );
    const look = await groupOf({ pids: [pid] }).lookOnce();
    const exact = measureGroup([pid], { tree: true });
    expect(look.processes.map((one) => one.pid)).toEqual(exact.processes.map((one) => one.pid));
    const { totals } = look;
    expect(totals.footprintExactness).toBe('exact');
    expect(totals.unknownPss).toBe(0);
    expect(totals.rssBytes).toBe(look.processes.reduce((sum, one) => sum + (one.rssBytes ?? 0), 0));
    const near = (bytes: number | null, other: number | null): void =>
      expect(Math.abs((bytes as number) - (other as number))).toBeLessThan(4e6);
    near(totals.rssBytes, exact.totals.rssBytes);
    near(totals.pssBytes, exact.totals.pssBytes);
    near(totals.footprintBytes, exact.totals.footprintBytes);
    for (const one of look.processes) {
      const parts = [one.rssAnonBytes, one.rssFileBytes, one.rssShmemBytes] as number[];
      expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBe(one.rssBytes);
    }
  });

  test('without anybody named has all of this user, this process too', async () => {
    const { pid } = await children.node(idleScript);
    const { processes, pids } = await groupOf({}).lookOnce();
    expect(pids).toEqual([]);
    expect(processes.find((one) => one.isSelf)?.pid).toBe(process.pid);
    expect(processes.find((one) => one.pid === pid)).toMatchObject({
      parentPid: process.pid,
      command: `${process.execPath} -e ${idleScript}`,
      isDenied: false,
    });
  });

  test('has the pages of a segment once, also those that nobody maps', async () => {
    const sizeBytes = 16 << 20;
    using segment = Segment.create({ name: `test-top-${process.pid}`, sizeBytes });
    const { pid } = await children.node(idleScript);
    const segments = [segment.path];
    const look = await groupOf({ pids: [pid], segments }).lookOnce();
    const exact = measureGroup([pid], { segments });
    expect(look.segments).toMatchObject([{ name: segment.path, holders: [] }]);
    expect(look.segments[0]?.unmappedBytes).toBe(exact.segments[0]?.residentBytes);
    expect(look.totals.footprintBytes).toBe(
      (look.totals.pssBytes as number) + (look.segments[0]?.unmappedBytes as number),
    );
  });

  test('a process that is not there is an error', () => {
    expect(() => groupOf({ pids: [2 ** 22 + 1] })).toThrow(
      expect.objectContaining({ code: 'ERR_GONE' }),
    );
  });
});

describe('looks', () => {
  test('follow what begins and what ends, and keep what was', async () => {
    const parent = await children.node(
      `const { spawn } = require('node:child_process');
       console.log('ready');
       let child = null;
       process.stdin.on('data', () => {
         if (child !== null) child.stdin.end();
         else child = spawn(process.execPath, ['-e', 'process.stdin.resume()'],
           { stdio: ['pipe', 'inherit', 'inherit'] });
       });`,
    );
    const counts: number[] = [];
    const last = await new Promise<TopModel>((resolve) => {
      groupOf({ pids: [parent.pid] }).watch((look) => {
        const { length } = look.processes;
        // One line when it is alone, one when its child is seen.
        if (length !== (counts.at(-1) ?? 0) && look.ended === 0)
          parent.process.stdin?.write('next\n');
        counts.push(length);
        if (look.ended === 1) resolve(look);
      });
    });
    expect(counts).toContain(2);
    expect(last.processes.map((one) => one.pid)).toEqual([parent.pid]);
    expect(last.history.length).toBe(counts.length);
  });

  test('know PSS soon, and say when it was looked up', async () => {
    const { pid } = await children.node(idleScript);
    const look = await lookWith(groupOf({ pids: [pid] }), ({ totals }) => totals.unknownPss === 0);
    expect(look.processes[0]?.sharesAgeMs).toBeGreaterThanOrEqual(0);
    expect(look.totals).toMatchObject({ footprintExactness: 'estimated' });
    expect(look.totals.footprintBytes).toBe(look.totals.pssBytes);
  });
});
