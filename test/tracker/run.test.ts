/** `memdrift run` as a user calls it: what runs, what is followed, and how it ends. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  captureText,
  readCaptureReport,
  readCaptureStats,
  readCaptureTable,
} from '../../src/capture/capture.ts';
import { fixture, GroundTruth, heldUnder, leaksOf } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

async function textOf(path: string): Promise<string> {
  let text = '';
  for await (const piece of captureText(path)) text += piece;
  return text;
}

test('children of every kind have captures of their own, named by what they are', async () => {
  const run = await truth.run(fixture('children.cjs'));
  expect(run.stderr).toMatch(/^memdrift: captures in .*\n$/);
  const held = new Map<number, string>();
  for (const capture of run.captures) {
    const table = await readCaptureTable(capture, { leaks: true });
    const big = table.rows.find((row) => row.bytes >= 7_000_001);
    held.set(big?.bytes ?? 0, `${table.stats.role} ${basename(capture).split('-')[0]}`);
    expect(basename(capture)).toContain(`-${table.stats.pid}-`);
  }
  expect(Object.fromEntries(held)).toEqual({
    7000001: 'main main',
    7000002: 'child child',
    7000003: 'worker worker',
    7000004: 'child child',
  });
});

test("ends with the program's exit code, and its output is the program's", async () => {
  const run = await truth.run(fixture('ends.cjs'), { args: ['exit'] });
  expect([run.code, run.stdout]).toEqual([3, 'ready\n']);
  const [capture = ''] = run.captures;
  expect(await readCaptureStats(capture)).toMatchObject({ damage: null, role: 'main' });
});

test('--eval runs a text, with arguments', async () => {
  const code = 'console.log(process.argv.slice(1).join(), process.execArgv.length)';
  const run = await truth.run('one', { flags: ['-e', code], args: ['--two'] });
  expect([run.code, run.stdout]).toEqual([0, 'one,--two 2\n']);
  expect(run.captures).toHaveLength(1);
});

test('a program marks the capture that run makes of it, and runs the same without', async () => {
  const index = new URL('../../dist/index.js', import.meta.url).href;
  const code = `import('${index}').then(({ mark }) => console.log(mark('half way')))`;
  const run = await truth.run('', { flags: ['-e', code] });
  expect(run).toMatchObject({ code: 0, stdout: 'true\n' });
  const [capture = ''] = run.captures;
  const { moments } = await readCaptureReport(capture, { intervals: 1 });
  expect(moments.map(({ label }) => label)).toContain('half way');
  const alone = execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  expect(alone).toBe('false\n');
});

test('what NODE_OPTIONS had stays', async () => {
  const preload = join(truth.folder, 'with space.cjs');
  writeFileSync(preload, 'globalThis.preloaded = true;');
  const env = { NODE_OPTIONS: `--require "${preload}" --no-warnings` };
  const code =
    'console.log(globalThis.preloaded, process.env.NODE_OPTIONS.includes("no-warnings"))';
  const run = await truth.run('', { flags: ['-e', code], env });
  expect(run.stdout).toBe('true true\n');
});

test('-o names the capture, and replaces no file', async () => {
  const file = join(truth.folder, 'mine.mdc');
  const run = await truth.run(fixture('ends.cjs'), { flags: ['-o', file], args: ['exit'] });
  expect(run.code).toBe(3);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const again = await truth.run(fixture('ends.cjs'), { flags: ['-o', file], args: ['exit'] });
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('mine.mdc exists');
});

test.each([
  [['--interval-ms', 'x'], 'intervalMs is NaN'],
  [['--max-bytes', '-1'], 'maxBytes is -1'],
  [['--sample-bytes', '1.5'], 'sampleBytes is 1.5'],
])('%j is refused', async (flags, message) => {
  const run = await truth.run(fixture('ends.cjs'), { flags, args: ['exit'] });
  expect(run.code).toBe(2);
  expect(run.stderr).toContain(message);
  expect(readdirSync(run.cwd)).toEqual([]);
});

describe('after an end that nobody could prepare for', () => {
  test.each(['kill', 'abort', 'throw'])('%s: the capture is readable', async (way) => {
    const run = await truth.run(fixture('ends.cjs'), { args: [way] });
    expect(run.code).not.toBe(0);
    const [capture = ''] = run.captures;
    const table = await readCaptureTable(capture, { leaks: true });
    expect(table.rows[0]?.bytes).toBe(6_000_001);
    const ending = way === 'throw' ? 'closed' : 'killed';
    expect(table.stats).toMatchObject({ damage: null, ending });
  });

  test('SIGTERM reaches the program', async () => {
    const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
    const args = [cli, 'run', fixture('ends.cjs'), 'wait'];
    const child = spawn(process.execPath, args, { cwd: truth.folder, env: truth.environment });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGTERM');
    const end = await new Promise((resolve) => child.once('close', (...both) => resolve(both)));
    expect(end).toEqual([null, 'SIGTERM']);
  });
});

test('a capture that reached its largest size ends whole, and the program goes on', async () => {
  const run = await truth.run(fixture('stress.cjs'), {
    flags: ['--max-bytes', '300000'],
    args: ['1500'],
  });
  expect(run.code).toBe(0);
  expect(run.stderr.match(/The program goes on untracked/g)).toHaveLength(1);
  const [capture = ''] = run.captures;
  expect(statSync(capture).size).toBeLessThanOrEqual(300_000);
  expect(await readCaptureStats(capture)).toMatchObject({ damage: null, ending: 'max-bytes' });
});

test('live shows what a running program holds, by its pid', async () => {
  const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
  const args = [cli, 'run', fixture('ends.cjs'), 'wait'];
  const child = spawn(process.execPath, args, { cwd: truth.folder, env: truth.environment });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const { pid } = child;
  const look = (target: string) =>
    spawnSync(process.execPath, [cli, 'live', target], { encoding: 'utf8' });
  const { stdout, status } = look(String(pid));
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('close', resolve));
  expect(status).toBe(0);
  expect(stdout).toMatch(new RegExp(`^main ${pid}, running, [\\d,]+ events in`));
  expect(stdout).toContain('MB live now');
  expect(stdout).toContain('6.00 MB  malloc, 1 of them');
  expect(look(String(process.pid))).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('is not being tracked; start it with memdrift run'),
  });
  expect(look('999999999').stderr).toContain('does not exist');
});

test('parse prints every record, and where a cut capture stops', async () => {
  const run = await truth.run(fixture('ends.cjs'), { args: ['exit'] });
  const [capture = ''] = run.captures;
  const text = await textOf(capture);
  expect(text).toMatch(/^alloc thread=1 malloc 0x[0-9a-f]+ bytes=6000001 stack=\d+$/m);
  expect(text).toMatch(/^end at=/m);
  const cut = join(truth.folder, 'cut.mdc');
  writeFileSync(cut, readFileSync(capture).subarray(0, -1000));
  expect((await readCaptureStats(cut)).damage).toMatch(/^at byte \d+: the file ends here/);
  const { events } = await readCaptureStats(capture);
  const lines = text.match(/^(alloc|free|restore|map|unmap|protect|advise|remap) /gm);
  expect(lines).toHaveLength(events);
});

test('samples stand for what was allocated, and are given up when it is freed', async () => {
  const code = `
    const truth = require(process.env.GROUND_TRUTH);
    function held() { return Array.from({ length: 20000 }, () => truth.malloc(5000)); }
    function freed() { for (let i = 0; i < 100000; i++) truth.free(truth.malloc(5000)); }
    if (truth.malloc(1e19) !== 0) throw new Error('nobody has so much');
    globalThis.kept = held();
    freed();`;
  const run = await truth.run('', { flags: ['--sample-bytes', '65536', '-e', code] });
  const table = await leaksOf(run);
  expect(table.stats.sampleBytes).toBe(65_536);
  // 1526 samples are within 8 % of what they stand for, but once in a thousand runs.
  expect(Math.abs((heldUnder(table, 'held').malloc ?? 0) / 1e8 - 1)).toBeLessThan(0.1);
  expect(heldUnder(table, 'freed').malloc ?? 0).toBe(0);
  expect(table.stats.events).toBeLessThan(30_000);
});

test('the peak of threads that take turns is exact', async () => {
  const code = 'require(process.env.GROUND_TRUTH).takeTurns(200, 50_000_000)';
  const run = await truth.run('', { flags: ['-e', code] });
  const { stats } = await leaksOf(run);
  expect(stats.peakBytes).toBeGreaterThan(50_000_000);
  expect(stats.peakBytes).toBeLessThan(60_000_000);
});
