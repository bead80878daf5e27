import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { measureGroup } from '../../src/group/measure_group.ts';
import { readCounters } from '../../src/proc/counters.ts';
import { Sampler } from '../../src/proc/sampler.ts';
import type { Child } from '../children.ts';
import { Holders } from './holders.ts';

const MB = 1_000_000;
const dist = join(import.meta.dirname, '../../dist/index.js');
let holders: Holders;

beforeEach(() => {
  holders = new Holders();
});

afterEach(() => holders.end());

function expectWithin(actual: number | null, expected: number, part: number): void {
  expect(actual).not.toBeNull();
  expect(Math.abs((actual as number) / expected - 1)).toBeLessThanOrEqual(part);
}

/**
 * Three processes share 100 MB and hold 50 MB each, 30 MB of tmpfs are mapped by nobody, and a fork
 * has written 10 MB of the 50 MB that it has from its parent: 290 MB.
 */
async function startGroup() {
  const shared = holders.file('shared');
  const unmapped = holders.file('unmapped');
  const [a, b, c] = [await holders.start(), await holders.start(), await holders.start()];
  await a.ask(`write ${100 * MB} ${shared}`);
  await a.ask(`leave ${30 * MB} ${unmapped}`);
  for (const one of [b, c]) await one.ask(`read ${100 * MB} ${shared}`);
  for (const one of [a, b, c]) await one.ask(`heap ${50 * MB}`);
  const fork = Number(await c.ask(`fork ${10 * MB}`));
  const named = [a, b, c].map(({ pid }) => pid);
  return { a, named, all: [...named, fork], segments: [shared, unmapped], bytes: 290 * MB };
}

describe('a group of known size', () => {
  test('has the footprint of arithmetic, and of what its cgroup is charged', async () => {
    const { named, all, segments, bytes } = await startGroup();
    const { totals, processes } = measureGroup(named, { tree: true, segments });
    expect(processes.map(({ pid }) => pid).sort()).toEqual(all.sort());
    expectWithin(totals.footprintBytes, bytes, 0.01);
    expectWithin(totals.footprintBytes, holders.chargedBytes(), 0.01);
    // 300 MB of shared pages (the fork has touched none) and 200 MB of heap, as often as mapped.
    expectWithin(totals.rssBytes, 500 * MB, 0.02);
    expectWithin(totals.unmappedSegmentBytes, 30 * MB, 0.001);
  });

  test('leaves out what nobody maps when the segment is not named', async () => {
    const { named, bytes } = await startGroup();
    const { totals, segments } = measureGroup(named, { tree: true });
    expectWithin(totals.footprintBytes, bytes - 30 * MB, 0.01);
    expect(segments).toHaveLength(1);
    expect(segments[0]?.holders).toHaveLength(4);
  });

  test("is the same to a sampler's pass, and its estimates stay with it", async () => {
    const { a, all, segments, bytes } = await startGroup();
    const sampler = new Sampler({ pids: all, segments, intervalMs: 20, budgetPercent: 0 });
    const pass = await sampler.pass('known');
    expectWithin(pass.footprintBytes, bytes, 0.01);
    expectWithin(pass.footprintBytes, holders.chargedBytes(), 0.01);
    // Last the heap: the peak is then no moment at which the left file is still mapped.
    await a.ask(`leave ${20 * MB} ${holders.file('later')}`);
    await a.ask(`heap ${40 * MB}`);
    const sample = await new Promise<{ footprintBytes: number | null }>((resolve) =>
      sampler.on('sample', resolve),
    );
    expectWithin(sample.footprintBytes, bytes + 40 * MB, 0.01);
    const { footprint } = await sampler.stop();
    expectWithin(footprint.peakBytes, bytes + 40 * MB, 0.01);
    expect(footprint.exactness).toBe('estimated');
    expectWithin(footprint.sumRssBytesThen, 540 * MB, 0.02);
  });

  test("counts a private mapping's copies beside the pages they were copied from", async () => {
    const path = holders.file('copied');
    const [a, b] = [await holders.start(), await holders.start()];
    await a.ask(`write ${60 * MB} ${path}`);
    await b.ask(`read ${60 * MB} ${path}`);
    await b.ask(`copy ${20 * MB} ${path}`);
    const pids = [a.pid, b.pid];
    const { totals, segments } = measureGroup(pids);
    expectWithin(totals.footprintBytes, 80 * MB, 0.02);
    expectWithin(totals.footprintBytes, holders.chargedBytes(), 0.02);
    const [, copier] = segments[0]?.holders ?? [];
    expectWithin(copier?.copiedBytes ?? null, 20 * MB, 0.001);
    const sampler = new Sampler({ pids, segments: [path], budgetPercent: 0 });
    expectWithin((await sampler.pass()).footprintBytes, 80 * MB, 0.02);
    await sampler.stop();
  });
});

test('the RSS peak between two samples is the kernel’s, within 512 kB', async () => {
  const holder = await holders.start();
  await holder.ask(`heap ${20 * MB}`);
  const sampler = new Sampler({ pids: [holder.pid], intervalMs: 3_600_000, budgetPercent: 0 });
  await sampler.pass();
  const before = readCounters(holder.pid).rssBytes as number;
  await holder.ask(`peak ${200 * MB}`);
  const report = await sampler.stop();
  const peak = report.processes[0]?.peak.rssBytes;
  expect(Math.abs((peak?.bytes as number) - (before + 200 * MB))).toBeLessThanOrEqual(512 * 1024);
  expect(peak).toMatchObject({ atMs: null, exactness: 'kernel' });
});

/** What a program of another user finds out, as JSON. */
function asNobody(script: string): unknown {
  const program = `import { measureGroup, Sampler } from ${JSON.stringify(dist)};${script}`;
  const text = execFileSync(
    'setpriv',
    [
      ...['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath],
      ...['--input-type=module', '-e', program],
    ],
    { encoding: 'utf8', cwd: '/' },
  );
  return JSON.parse(text);
}

describe("another user's process", () => {
  let holder: Child;

  beforeEach(async () => {
    holder = await holders.start();
    await holder.ask(`heap ${20 * MB}`);
  });

  test('makes totals that need it unknown, and leaves the known ones', () => {
    const snapshot = asNobody(
      `console.log(JSON.stringify(measureGroup(['self', ${holder.pid}])))`,
    ) as ReturnType<typeof measureGroup>;
    const [own, other] = snapshot.processes;
    expect(other).toMatchObject({ pid: holder.pid, ussBytes: null, pssBytes: null });
    expect(other?.rssBytes).toBeGreaterThan(20 * MB);
    expect(snapshot.unknownPids).toEqual([holder.pid]);
    expect(snapshot.totals).toMatchObject({ ussBytes: null, pssBytes: null, footprintBytes: null });
    expect(snapshot.totals.rssBytes).toBe((own?.rssBytes ?? 0) + (other?.rssBytes ?? 0));
    expect(snapshot.knownTotals.pssBytes).toBe(own?.pssBytes);
  });

  test('has peaks of its counters in a sampler, and none of PSS', () => {
    const found = asNobody(
      `const sampler = new Sampler({ pids: ['self', ${holder.pid}] });` +
        'const pass = await sampler.pass();' +
        'console.log(JSON.stringify({ pass, report: await sampler.stop() }))',
    ) as {
      pass: Awaited<ReturnType<Sampler['pass']>>;
      report: Awaited<ReturnType<Sampler['stop']>>;
    };
    expect(found.pass).toMatchObject({ unknownPids: [holder.pid], footprintBytes: null });
    const other = found.report.processes[1];
    expect(other).toMatchObject({ denied: true, peak: { pssBytes: null, ussBytes: null } });
    expect(other?.peak.rssBytes?.bytes).toBeGreaterThan(20 * MB);
  });
});

test('a pid that another process has taken is not the process that was followed', async () => {
  for (let tries = 0; tries < 50; tries++) {
    const first = await holders.start();
    const { pid } = first;
    const sampler = new Sampler({ pids: [pid, process.pid], budgetPercent: 0 });
    await sampler.pass('before');
    await first.end();
    const second = Number(
      execFileSync('sh', [
        '-c',
        `echo ${pid - 1} > /proc/sys/kernel/ns_last_pid; sleep 30 >/dev/null 2>&1 & echo $!`,
      ]),
    );
    const pass = await sampler.pass('after');
    const report = await sampler.stop();
    process.kill(second);
    if (second !== pid) continue;
    expect(pass.processes.map((one) => one.pid)).toEqual([process.pid]);
    expect(report.processes.find((one) => one.pid === pid)?.passes).toBe(1);
    expect(report.lostProcesses).toBe(1);
    return;
  }
  throw new Error('the kernel gave the number away to others 50 times');
});
