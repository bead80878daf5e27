import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { isMemdriftError } from '../../src/errors.ts';
import {
  type Sample,
  Sampler,
  type SamplerOptions,
  type SamplerReport,
} from '../../src/proc/sampler.ts';
import { Children, idleScript } from '../children.ts';

const root = join(import.meta.dirname, '../..');
const children = new Children();
const files: string[] = [];

type SampleRow = Sample['processes'][number];

afterEach(async () => {
  await children.endAll();
  for (const file of files.splice(0)) rmSync(file, { force: true });
});

function peakOf(report: SamplerReport, pid: number) {
  const found = report.processes.find((one) => one.pid === pid);
  if (!found) throw new Error(`no process ${pid} in the report`);
  return found;
}

describe('Sampler', () => {
  test('delivers samples and reports peaks with what stands behind them', async () => {
    const { pid } = await children.node(idleScript);
    const sampler = new Sampler({ pids: ['self', pid], intervalMs: 10, budgetPercent: 0 });
    const [sample] = await new Promise<[Parameters<Parameters<Sampler['on']>[1]>[0]]>((resolve) => {
      sampler.on('sample', (one) => resolve([one]));
    });
    expect(sample.processes.map((one) => one.pid)).toEqual([process.pid, pid]);
    expect(sample.sumRssBytes).toBe(
      sample.processes.reduce((sum, one) => sum + (one.rssBytes as number), 0),
    );
    const looked = await sampler.pass('now');
    const report = await sampler.stop();
    const { peak } = peakOf(report, pid);
    expect(peak.rssBytes).toMatchObject({ exactness: 'kernel' });
    expect(peak.rssBytes?.bytes).toBeGreaterThanOrEqual(peak.rssAnonBytes?.bytes as number);
    expect(peak.pssBytes).toMatchObject({ exactness: 'sampled', samples: 1 });
    expect(peak.pssBytes?.bytes).toBe(looked.processes[1]?.pssBytes);
    expect(report.footprint.peakBytes).toBeGreaterThanOrEqual(looked.footprintBytes as number);
    expect(report.observer).toMatchObject({ passes: 1, samplesDropped: 0 });
    expect(report.observer.cpuMs).toBeGreaterThan(0);
    expect(report.observer.percentOfCore).toBeCloseTo(
      (100 * report.observer.cpuMs) / report.observer.wallMs,
    );
  });

  test('sums the parts of a pass: what all share is counted once', async () => {
    const { pid } = await children.node(idleScript);
    const sampler = new Sampler({ pids: [process.pid, pid], budgetPercent: 0 });
    const pass = await sampler.pass('both');
    await sampler.stop();
    expect(pass).toMatchObject({ label: 'both', unknownPids: [], footprintExactness: 'exact' });
    const [ours, theirs] = pass.processes;
    expect(pass.sumPssBytes).toBe((ours?.pssBytes as number) + (theirs?.pssBytes as number));
    expect(pass.footprintBytes).toBe(pass.sumPssBytes);
    expect(pass.footprintBytes).toBeLessThan(pass.sumRssBytes as number);
  });

  test('counts pages of a segment that nobody maps', async () => {
    const path = `/dev/shm/memdrift-test-sampler-${process.pid}`;
    files.push(path);
    writeFileSync(path, Buffer.alloc(8_388_608, 1));
    const sampler = new Sampler({ pids: ['self'], budgetPercent: 0, segments: [path] });
    const { footprintBytes, sumPssBytes, segments } = await sampler.pass();
    const report = await sampler.stop();
    expect(segments).toEqual([{ path, residentBytes: 8_388_608 }]);
    expect(footprintBytes).toBe((sumPssBytes as number) + 8_388_608);
    expect(report.segments).toEqual([{ path, residentBytesPeak: 8_388_608 }]);
  });

  test('has the peak that fell between two samples, from the kernel', async () => {
    const child = await children.node(
      "console.log('ready'); process.stdin.once('data', () => {" +
        ' Buffer.alloc(64e6, 1).buffer.transfer?.(0);' +
        " console.log('done'); }); setInterval(() => {}, 1000)",
    );
    const sampler = new Sampler({ pids: [child.pid], intervalMs: 3_600_000, budgetPercent: 0 });
    await sampler.pass();
    await child.ask('go');
    const { peak } = peakOf(await sampler.stop(), child.pid);
    expect(peak.rssBytes?.bytes).toBeGreaterThan(64e6);
  });

  test('a process that ends keeps its peaks and is counted as lost', async () => {
    const child = await children.node(idleScript);
    const { pid } = child;
    const sampler = new Sampler({ pids: ['self', pid], intervalMs: 10, budgetPercent: 0 });
    await sampler.pass('before');
    await child.end();
    const after = await sampler.pass('after');
    expect(after.processes.map((one) => one.pid)).toEqual([process.pid]);
    expect(after.lostProcesses).toBe(1);
    const report = await sampler.stop();
    expect(report.lostProcesses).toBe(1);
    expect(peakOf(report, pid).endedAtMs).toBeGreaterThan(0);
    expect(peakOf(report, pid).peak.pssBytes?.samples).toBe(1);
  });

  test('follows processes added later and forgets those removed', async () => {
    const { pid } = await children.node(idleScript);
    const sampler = new Sampler({ pids: ['self'], budgetPercent: 0 });
    sampler.add(pid);
    sampler.add(pid);
    expect((await sampler.pass()).processes).toHaveLength(2);
    sampler.remove(pid);
    expect((await sampler.pass()).processes).toHaveLength(1);
    const report = await sampler.stop();
    expect(peakOf(report, pid).passes).toBe(1);
    expect(report.lostProcesses).toBe(0);
  });

  test('makes passes of its own within the budget', async () => {
    const sampler = new Sampler({ pids: ['self'], intervalMs: 20, budgetPercent: 100 });
    let samples = 0;
    await new Promise<void>((resolve) => {
      sampler.on('sample', () => {
        samples++;
        if (samples === 40) resolve();
      });
    });
    const { observer, footprint } = await sampler.stop();
    expect(observer.passes).toBeGreaterThan(0);
    expect(footprint.peakBytes).toBeGreaterThan(0);
  });

  test('drops samples that a busy event loop does not take, and no peaks', async () => {
    const sampler = new Sampler({ pids: ['self'], intervalMs: 10, budgetPercent: 0 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000);
    const report = await sampler.stop();
    const { samples, samplesDropped } = report.observer;
    expect(samplesDropped).toBeGreaterThan(0);
    expect(samples).toBeGreaterThan(samplesDropped);
    expect(peakOf(report, process.pid).samples).toBeGreaterThanOrEqual(samples);
  });

  test('refuses what it cannot follow', async () => {
    const child = await children.node(idleScript);
    const { pid } = child;
    await child.end();
    expect(() => new Sampler({ pids: [pid] })).toThrow(
      expect.objectContaining({ code: 'ERR_GONE' }),
    );
    for (const bad of [{ intervalMs: 0 }, { intervalMs: Number.NaN }, { budgetPercent: -1 }])
      expect(() => new Sampler(bad)).toThrow(expect.objectContaining({ code: 'ERR_INVALID' }));
    expect(() => new Sampler({ segments: ['relative'] })).toThrow(/absolute path/);
    expect(() => new Sampler({ pids: [1.5] })).toThrow(/not an integer/);
  });

  test('after stop everything but stop is ERR_CLOSED, and what waits is told', async () => {
    const sampler = new Sampler({ pids: ['self'] });
    const stopped = sampler.stop();
    await expect(sampler.pass()).rejects.toSatisfy((e) => isMemdriftError(e, 'ERR_CLOSED'));
    expect(() => sampler.add(process.pid)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(await sampler.stop()).toBe(await stopped);
  });

  test('keeps no program running, stopped or not, nor a worker that is ended', async () => {
    const script = `
      import { Worker, isMainThread } from 'node:worker_threads';
      import { Sampler } from './dist/proc/sampler.js';
      const sampler = new Sampler({ pids: ['self'], intervalMs: 10 });
      sampler.on('sample', () => {});
      await sampler.pass();
      if (isMainThread) {
        const worker = new Worker(process.argv[1]);
        await new Promise((resolve) => worker.once('online', resolve));
        setTimeout(() => worker.terminate(), 100);
      } else setInterval(() => {}, 1000);
      if (isMainThread) console.log('end');`;
    const file = join(root, `sampler-exit-${process.pid}.mjs`);
    files.push(file);
    writeFileSync(file, script);
    const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: root });
    expect(stdout).toBe('end\n');
  });

  test('a listener that throws is an uncaught exception', async () => {
    const script = `
      import { Sampler } from './dist/proc/sampler.js';
      const sampler = new Sampler({ pids: ['self'] });
      sampler.on('sample', () => { throw new Error('boom'); });
      process.on('uncaughtException', (error) => { console.log(error.message); process.exit(3); });
      setInterval(() => {}, 1000);`;
    const file = join(root, `sampler-throw-${process.pid}.mjs`);
    files.push(file);
    writeFileSync(file, script);
    const run = promisify(execFile)(process.execPath, [file], { cwd: root });
    await expect(run).rejects.toMatchObject({ code: 3, stdout: 'boom\n' });
  });
});

describe('Sampler of a tree', () => {
  const samplers: Sampler[] = [];
  afterEach(async () => {
    for (const sampler of samplers.splice(0)) await sampler.stop();
  });

  function follow(pids: number[], options: SamplerOptions = {}): Sampler {
    const sampler = new Sampler({ intervalMs: 10, budgetPercent: 0, ...options, pids, tree: true });
    samplers.push(sampler);
    return sampler;
  }

  /** The first row of a sample that `wanted` is true of. */
  function seen(sampler: Sampler, wanted: (row: SampleRow, sample: Sample) => boolean) {
    return new Promise<SampleRow>((resolve) => {
      sampler.on('sample', (sample) => {
        const found = sample.processes.find((row) => wanted(row, sample));
        if (found) resolve(found);
      });
    });
  }

  test('finds what is made later, and its children', async () => {
    const shell = await children.run('sh', ['-c', 'echo ready; read x; sh -c "sleep 1000; :"']);
    const sampler = follow([shell.pid]);
    const sleeping = seen(sampler, ({ name }) => name === 'sleep');
    shell.process.stdin?.write('go\n');
    const { pid, parentPid } = await sleeping;
    const middle = await seen(sampler, (row) => row.pid === parentPid);
    expect(middle).toMatchObject({ name: 'sh', parentPid: shell.pid });
    const report = await sampler.stop();
    process.kill(pid);
    expect(report.processes.map((one) => one.pid).sort()).toEqual(
      [shell.pid, parentPid, pid].sort(),
    );
    expect(report.endedEarly.atLeast).toBe(0);
  });

  test('a process that runs another program is the same with another name', async () => {
    const shell = await children.run('sh', ['-c', 'echo ready; read x; exec sleep 1000']);
    const sampler = follow([shell.pid]);
    const before = await seen(sampler, ({ name }) => name === 'sh');
    shell.process.stdin?.write('go\n');
    const after = await seen(sampler, ({ name }) => name === 'sleep');
    expect(after).toMatchObject({ pid: before.pid, startTimeTicks: before.startTimeTicks });
    expect((await sampler.stop()).processes).toHaveLength(1);
  });

  test('an orphan stays in it, with its new parent', async () => {
    const shell = await children.run('sh', [
      '-c',
      'echo ready; read x; (tail -f /dev/null & read y)',
    ]);
    const sampler = follow([shell.pid]);
    shell.process.stdin?.write('go\n');
    const { pid } = await seen(sampler, ({ name }) => name === 'tail');
    shell.process.stdin?.write('end\n');
    const orphan = await seen(sampler, (row, { processes }) => {
      return row.pid === pid && processes.every((other) => other.pid !== row.parentPid);
    });
    process.kill(pid);
    expect(orphan.name).toBe('tail');
  });

  test('counts children that nobody saw, by what their parent has waited for', async () => {
    const parent = await children.node(
      "console.log('ready'); process.stdin.on('data', () => {" +
        " require('node:child_process').spawnSync('true'); console.log('done'); })",
    );
    const sampler = follow([parent.pid], { intervalMs: 3_600_000 });
    await sampler.pass();
    for (let i = 0; i < 3; i++) {
      await parent.ask('go');
      await sampler.pass();
    }
    const { endedEarly, lostProcesses } = await sampler.stop();
    expect(endedEarly.atLeast).toBe(3);
    expect(endedEarly.atMost).toBeGreaterThanOrEqual(3);
    expect(lostProcesses).toBe(0);
  });

  test('has what schedulers read', async () => {
    const { pid } = await children.run('sh', ['-c', 'echo ready; read x']);
    const sampler = follow([pid], { startCreditMs: 1000, budgetPercent: 1 });
    const row = await seen(sampler, ({ pssBytes }) => pssBytes !== null);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ');
    const [, , shared] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ');
    expect(row.startTimeTicks).toBe(Number(stat[21]));
    expect(row.statRssBytes).toBe(Number(stat[23]) * 4096);
    expect(row.sharedBytes).toBe(Number(shared) * 4096);
    expect(row.pssBytes).toBeLessThanOrEqual(row.rssBytes as number);
  });

  test('refuses a mark that is no variable', () => {
    expect(() => new Sampler({ tree: true, mark: 'MEMDRIFT' })).toThrow(/NAME=value/);
  });
});
