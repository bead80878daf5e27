/** Tracking under conditions that need more than Node: other allocators, a full disk, users. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { readCaptureStats, readCaptureTable } from '../../src/capture/capture.ts';
import { fixture, GroundTruth, heldUnder, leaksOf } from '../ground_truth.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'dist/cli.js');
const truth = new GroundTruth();
afterAll(() => truth.remove());

function libraryOf(name: string): string {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const path = new RegExp(`${name}\\S* .*=> (\\S+)`).exec(stdout)?.[1];
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

describe('another malloc, preloaded', () => {
  test.each(['libjemalloc.so', 'libmimalloc.so'])('%s', async (name) => {
    const env = { LD_PRELOAD: libraryOf(name) };
    const table = await leaksOf(await truth.run(fixture('functions.cjs'), { env }));
    expect(heldUnder(table, 'by_malloc').malloc).toBeGreaterThanOrEqual(1_000_001);
    expect(heldUnder(table, 'by_calloc').malloc).toBeGreaterThanOrEqual(1_000_002);
    expect(heldUnder(table, 'by_realloc').malloc).toBeGreaterThanOrEqual(1_000_003);
    expect(heldUnder(table, 'by_buffer').buffer).toBe(64 << 20);
    // What it maps for blocks is these blocks, and not counted beside them.
    expect(heldUnder(table, 'by_malloc').mmap).toBeUndefined();
    expect(table.stats).toMatchObject({ damage: null, droppedRecords: 0 });
  });
});

test('an addon with an allocator of its own is seen by what it maps', async () => {
  const addon = join(truth.folder, 'own_allocator.node');
  const headers = join(root, 'node_modules/node-api-headers/include');
  const flags = ['-O2', '-shared', '-fPIC', '-I', headers];
  execFileSync('cc', [...flags, fixture('own_allocator.c'), '-o', addon]);
  const code = `const { hold } = require(${JSON.stringify(addon)});
    function by_own_allocator() { for (let i = 0; i < 5; i++) hold(3 << 20); }
    by_own_allocator();`;
  const output = join(truth.folder, 'own.mdc');
  execFileSync(process.execPath, [cli, 'run', '-o', output, '-e', code], { stdio: 'ignore' });
  // It maps 8 MiB at a time, and the program touches the blocks that it is given.
  const table = await readCaptureTable(output, { leaks: true });
  expect(heldUnder(table, 'by_own_allocator').mmap).toBe(5 * (3 << 20));
  const committed = await readCaptureTable(output, { leaks: true, committed: true });
  expect(heldUnder(committed, 'by_own_allocator').mmap).toBe(3 * (8 << 20));
});

test('a folder that cannot be written gets no capture, the temporary one does', () => {
  const folder = join(truth.folder, 'closed');
  mkdirSync(folder);
  const temporary = join(truth.folder, 'open');
  mkdirSync(temporary);
  chmodSync(truth.folder, 0o755);
  chmodSync(folder, 0o555);
  chmodSync(temporary, 0o777);
  const command = [process.execPath, cli, 'run', '-e', 'console.log(1)'];
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const env = { ...process.env, TMPDIR: temporary };
  const run = spawnSync('setpriv', [...user, ...command], { cwd: folder, env, encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([0, '1\n']);
  expect(readdirSync(folder)).toEqual([]);
  const [made = ''] = readdirSync(temporary);
  expect(run.stderr).toBe(`memdrift: captures in ${join(temporary, made)}\n`);
  expect(readdirSync(join(temporary, made))).toHaveLength(1);
});

test('a disk that gets full ends the capture, not the program', async () => {
  const disk = join(truth.folder, 'disk');
  mkdirSync(disk);
  const file = join(disk, 'full.mdc');
  const copy = join(truth.folder, 'full-copy.mdc');
  const code = `let kept = [];
    for (let i = 0; i < 400_000; i++) kept.push(Buffer.allocUnsafeSlow(100 + (i % 1000)));
    console.log('goes on');`;
  const script = `mount -t tmpfs -o size=1m tmpfs "$1" && shift && "$@"; code=$?
    cp ${file} ${copy}; exit $code`;
  const command = [process.execPath, cli, 'run', '-o', file, '-e', code];
  const flags = ['--mount', '--propagation=private', 'sh', '-c', script, 'sh', disk];
  const run = spawnSync('unshare', [...flags, ...command], { encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([0, 'goes on\n']);
  expect(run.stderr.match(/No space left on device/g)).toHaveLength(1);
  const stats = await readCaptureStats(copy);
  expect(stats.events).toBeGreaterThan(10_000);
  expect(stats).toMatchObject({ ending: 'write-failed', damage: null });
  expect(existsSync(file)).toBe(false);
});

test('1,000 forks of a thread while another one allocates', async () => {
  const code = `const truth = require(process.env.GROUND_TRUTH);
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(
      'for (;;) { const kept = []; while (kept.length < 1000) kept.push(Buffer.alloc(5000)); }',
      { eval: true });
    worker.once('online', () => {
      console.log(truth.forks(1000));
      worker.terminate();
    });`;
  const output = join(truth.folder, 'forks.mdc');
  const stdout = execFileSync(process.execPath, [cli, 'run', '-o', output, '-e', code], {
    encoding: 'utf8',
    env: truth.environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(stdout).toBe('0\n');
  expect(await readCaptureStats(output)).toMatchObject({ damage: null });
});
