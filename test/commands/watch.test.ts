import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type { WatchReport } from '../../src/watch/watch_model.ts';
import { Children, idleScript } from '../children.ts';

const cli = join(import.meta.dirname, '../../dist/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-watch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function memdrift(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [cli, 'watch', ...args], (_, stdout, stderr) =>
      resolve({ code: child.exitCode as number, stdout, stderr }),
    );
  });
}

let files = 0;
const newFile = (): string => join(folder, `file-${files++}`);

async function reportOf(...args: string[]): Promise<WatchReport & { schemaVersion: number }> {
  const json = newFile();
  await memdrift('--json', json, ...args);
  return JSON.parse(readFileSync(json, 'utf8'));
}

type Line = { type: string } & Record<string, unknown>;

function linesOf(file: string): Line[] {
  const complete = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return complete.map((line) => JSON.parse(line));
}

/** Holds 80 MB for half a second, with a child that holds 40 MB. */
const known = [
  '--',
  process.execPath,
  '-e',
  'const own = Buffer.alloc(80e6, 1);' +
    ' require("node:child_process").spawn(process.execPath, ["-e",' +
    ' "const own = Buffer.alloc(40e6, 1); setTimeout(() => own, 600)"])' +
    '.on("exit", () => process.exit(own[0] + 6));',
];

describe('memdrift watch', () => {
  test('ends as the command does, which has the streams to itself', async () => {
    const { code, stdout, stderr } = await memdrift(
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 9',
    );
    expect(code).toBe(9);
    expect(stdout).toBe('out\n');
    expect(stderr).toMatch(/^err\n/);
    expect(stderr).toContain('exit code 9');
  });

  test.each([
    ['no such command', ['memdrift-no-such-command'], 127],
    ['no program', [cli.replace(/cli\.js$/, 'cli.d.ts')], 126],
  ])('exit code of %s', async (_, command, expected) => {
    expect((await memdrift('--', ...command)).code).toBe(expected);
  });

  test('ends by the signal that ended the command', async () => {
    const watch = spawn(process.execPath, [cli, 'watch', '--', 'sh', '-c', 'kill -TERM $$']);
    expect(await once(watch, 'exit')).toEqual([null, 'SIGTERM']);
  });

  test('a report that cannot be written is known before the command runs', async () => {
    const { code, stdout, stderr } = await memdrift(
      '--json',
      '/no/such/x.json',
      '--',
      'echo',
      'ran',
    );
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('cannot write /no/such/x.json');
  });

  test('of a command that cannot run no log is left', async () => {
    const place = newFile();
    mkdirSync(place);
    const { code } = await memdrift('--out', join(place, 'run.jsonl'), '--', 'no-such-command');
    expect([code, readdirSync(place)]).toEqual([127, []]);
  });

  test('knows what the whole tree had, and what SLURM would see of it', async () => {
    const report = await reportOf('--slurm-frequency', '0.1', '--limit', '110M', ...known);
    expect(report).toMatchObject({ schemaVersion: 1, completed: true, exit: { code: 7 } });
    const group = report.processes.filter((one) => one.inGroup);
    const node = expect.stringMatching(/^(node|MainThread|node-MainThread)$/);
    expect(group.map((one) => one.name)).toEqual([node, node]);
    expect(group[1]?.parentPid).toBe(group[0]?.pid);
    const own = report.processes.filter((one) => one.isWatch);
    expect(own).toEqual([expect.objectContaining({ inGroup: false })]);
    const { sumRss, slurmDefault, slurmNoShared, footprint } = report.views;
    const sum = group.reduce((bytes, { peak }) => bytes + (peak.rssBytes ?? 0), 0);
    expect(report.totals.rssBytes).toBe(sum);
    expect(sumRss.peakBytes).toBeGreaterThan(120e6);
    expect(sumRss.peakBytes).toBeLessThanOrEqual(sum);
    expect(slurmDefault.rangeBytes?.[0]).toBeLessThanOrEqual(slurmDefault.peakBytes as number);
    expect(slurmNoShared.peakBytes).toBeGreaterThan(120e6);
    expect(slurmNoShared.peakBytes).toBeLessThan(slurmDefault.peakBytes as number);
    expect(footprint).toEqual(report.footprint);
    const verdict = report.verdicts.find(({ view }) => view === 'sumRss');
    expect(verdict).toMatchObject({
      kills: 'yes',
      byBytes: (sumRss.peakBytes ?? 0) - 110 * 2 ** 20,
    });
    expect(report.observer.cpuMs).toBeGreaterThan(report.observer.samplingCpuMs);
  });

  test('says unknown, not 0 or no, of a command that no sample saw', async () => {
    let unseen = 0;
    for (let round = 0; round < 20; round++) {
      const json = newFile();
      const { stderr } = await memdrift('--limit', '1G', '--json', json, '--', 'true');
      const { processes, views, verdicts }: WatchReport = JSON.parse(readFileSync(json, 'utf8'));
      if (processes.some(({ inGroup }) => inGroup)) continue;
      unseen++;
      expect(views.sumRss).toMatchObject({ peakBytes: null, rangeBytes: null });
      // A cgroup's own figures are known all the same.
      expect(verdicts.filter(({ view }) => !/cgroup/i.test(view))).toEqual([]);
      for (const view of ['sum of RSS', 'sum of PSS', 'each page once', 'default\\)', 'UsePss'])
        expect(stderr).toMatch(new RegExp(`${view} +unknown +unknown +unknown\\n`));
    }
    expect(unseen).toBeGreaterThan(0);
  }, 120_000);

  test('its log tells the same, of its owner alone', async () => {
    const [out, json] = [newFile(), newFile()];
    await memdrift('--out', out, '--json', json, ...known);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const lines = linesOf(out);
    expect(lines[0]).toMatchObject({ type: 'header', kind: 'memdrift-watch', schemaVersion: 1 });
    const summary = lines.at(-1);
    expect(summary).toEqual({ type: 'summary', ...JSON.parse(readFileSync(json, 'utf8')) });
    const begun = lines.filter(({ type }) => type === 'begin');
    expect(begun.map((one) => one.isWatch)).toContain(true);
    const samples = lines.filter(({ type }) => type === 'sample');
    expect(samples).toHaveLength((summary as unknown as WatchReport).observer.samples);
    const fields = lines[0]?.totalFields as string[];
    const highest = Math.max(
      ...samples.map(({ totals }) => (totals as number[])[fields.indexOf('rssBytes')] as number),
    );
    expect(highest).toBe((summary as unknown as WatchReport).views.sumRss.peakBytes);
    // Rows carry on: added up, the last of each process are the totals.
    const last = new Map<number, number>();
    const inGroup = new Map(begun.map((one) => [one.id as number, one.inGroup as boolean]));
    for (const line of lines) {
      if (line.type === 'end') last.delete(line.id as number);
      if (line.type !== 'sample') continue;
      for (const [id, rss] of line.rows as [number, number][])
        if (inGroup.get(id)) last.set(id, rss);
      const sum = [...last.values()].reduce((bytes, one) => bytes + one, 0);
      expect((line.totals as number[])[0]).toBe(sum);
    }
  });

  test('a folder gets a file per watch; a file that exists is left alone', async () => {
    const out = `${newFile()}/`;
    await Promise.all([1, 2].map(() => memdrift('--out', out, '--', 'sleep', '0.2')));
    const names = readdirSync(out);
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^watch-.+-\d+\.jsonl$/);
    const file = newFile();
    writeFileSync(file, 'mine');
    const { code, stderr } = await memdrift('--out', file, '--', 'true');
    expect([code, readFileSync(file, 'utf8')]).toEqual([1, 'mine']);
    expect(stderr).toContain('exists');
  });

  test('a log that SIGKILL cuts is right as far as it goes', async () => {
    const out = newFile();
    const args = [cli, 'watch', '--interval', '10', '--out', out, '--', process.execPath];
    const watch = spawn(process.execPath, [...args, '-e', idleScript], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(watch.stdout, 'data');
    const samples = () => linesOf(out).filter(({ type }) => type === 'sample');
    while (samples().length < 5) await sleep(20);
    watch.kill('SIGKILL');
    await once(watch, 'exit');
    const begun = linesOf(out).filter(({ type, isWatch }) => type === 'begin' && !isWatch);
    expect(begun).toHaveLength(1);
    expect(samples().length).toBeGreaterThanOrEqual(5);
  });

  test('forwards signals, and reports after them', async () => {
    const script =
      'process.on("SIGTERM", () => process.exit(5)); console.log(1); setInterval(String, 1e3)';
    const watch = spawn(process.execPath, [cli, 'watch', '--', process.execPath, '-e', script]);
    await once(watch.stdout, 'data');
    watch.kill('SIGTERM');
    const [code] = await once(watch, 'exit');
    expect(code).toBe(5);
  });
});

describe('memdrift watch, attached', () => {
  const children = new Children();

  test('follows what runs until it ends, also what it makes meanwhile', async () => {
    const target = await children.node(idleScript);
    const json = newFile();
    const ended = memdrift('--json', json, '--out', `${json}.jsonl`, '--pid', String(target.pid));
    const seen = () => linesOf(`${json}.jsonl`).some(({ pid }) => pid === target.pid);
    const isThere = () => readdirSync(folder).includes(`${json.slice(folder.length + 1)}.jsonl`);
    const failed = ended.then(({ code, stderr }) => {
      if (code !== 0) throw new Error(stderr);
    });
    while (!isThere() || !seen()) await Promise.race([failed.then(() => sleep(20)), sleep(20)]);
    await target.end();
    await failed;
    const report: WatchReport = JSON.parse(readFileSync(json, 'utf8'));
    const found = report.processes.find(({ pid }) => pid === target.pid);
    expect(found).toMatchObject({ inGroup: true });
    expect(found?.endedAtMs).not.toBeNull();
    expect(report.exit).toBeNull();
    await children.endAll();
  });

  test('ends after --duration, and leaves what it watched', async () => {
    const target = await children.node(idleScript);
    const { code } = await memdrift('--duration', '0.3', '--pid', String(target.pid));
    expect(code).toBe(0);
    expect(() => process.kill(target.pid, 0)).not.toThrow();
    await children.endAll();
  });

  test('a cgroup is a folder with its processes', async () => {
    // A folder with the one file that is asked for stands for it.
    const target = await children.node(idleScript);
    const below = join(folder, 'cgroup/below');
    mkdirSync(below, { recursive: true });
    writeFileSync(join(folder, 'cgroup/cgroup.procs'), '');
    writeFileSync(join(below, 'cgroup.procs'), `${target.pid}\n0\n`);
    const report = await reportOf('--duration', '0.3', '--cgroup', join(folder, 'cgroup'));
    expect(report.processes.map(({ pid }) => pid)).toContain(target.pid);
    await children.endAll();
  });

  test('a kernel thread has no memory, and is no error', async () => {
    const report = await reportOf('--duration', '0.3', '--pid', '2');
    const one = report.processes.find(({ pid }) => pid === 2);
    // In a container number 2 is some other process, or none.
    if (one?.name === 'kthreadd') expect(one.peak.rssBytes).toBeNull();
  });

  test.each([
    [['--pid', '4194999'], 1, /4194999/],
    [['--pid', 'x'], 2, /not a process id/],
    [['--cgroup', '/tmp'], 1, /no cgroup/],
    [['--slurm', '999999999'], 1, /no process of it/],
    [['--slurm', 'x'], 2, /number of a job/],
    [[], 2, /nothing to watch/],
    [['--pid', '1', '--slurm', '1'], 2, /nothing to watch: give one/],
    [['--interval', '1', '--', 'true'], 2, /--interval is "1"/],
    [['--limit', 'much', '--', 'true'], 2, /--limit is "much"/],
    [['--slurm-proctrack', 'x', '--', 'true'], 2, /none of cgroup/],
  ])('refuses %j', async (args, expected, message) => {
    const { code, stderr } = await memdrift(...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(expected);
  });
});
