/** Objects that a tracked program loads, in every way that programs load them. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, GroundTruth, leaksOf, type Run } from '../ground_truth.ts';
import { makeLibraryOfManySymbols } from '../many_symbols.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const truth = new GroundTruth();
const addon = join(truth.folder, 'loading.node');
const many = makeLibraryOfManySymbols(truth.folder);
/** A copy that no other object has loaded. */
const nearby = join(truth.folder, 'nearby.so');
const environment = { LOADING: addon, MEMDRIFT: join(root, 'dist/index.js') };

const headers = join(root, 'node_modules/node-api-headers/include');
execFileSync('cc', [
  ...['-O2', '-shared', '-fPIC', '-D_GNU_SOURCE', '-I', headers, '-Wl,-rpath,$ORIGIN/below'],
  ...[join(root, 'test/native/loading.c'), '-o', addon, '-lpthread', '-ldl'],
]);
mkdirSync(join(truth.folder, 'below'));
copyFileSync(truth.object, nearby);
copyFileSync(truth.object, join(truth.folder, 'below', 'only_by_runpath.so'));

/** Every processor is busy with something else, twice. */
const busy = cpus().flatMap(() => [
  spawn(process.execPath, ['-e', 'for (;;);']),
  spawn(process.execPath, ['-e', 'for (;;);']),
]);
beforeAll(() => expect(busy.every((child) => child.pid !== undefined)).toBe(true));
afterAll(() => {
  for (const child of busy) child.kill('SIGKILL');
  truth.remove();
});

const plain = (args: readonly string[]): string =>
  execFileSync(process.execPath, [fixture('loading.cjs'), ...args], {
    env: { ...truth.environment, ...environment },
    encoding: 'utf8',
  });

const tracked = (args: readonly string[], flags: readonly string[] = []): Promise<Run> =>
  truth.run(fixture('loading.cjs'), { args, flags, env: environment });

/** Runs it tracked, expects the output of an untracked run, and returns the run. */
async function sameAsPlain(args: readonly string[], flags: readonly string[] = []): Promise<Run> {
  const run = await tracked(args, flags);
  expect({ code: run.code, stdout: run.stdout }).toEqual({ code: 0, stdout: plain(args) });
  return run;
}

describe('a library that is relocated for a tenth of a second', () => {
  test('has every malloc recorded, those of its constructor too', async () => {
    const table = await leaksOf(await sameAsPlain(['slow', many]));
    const own = table.rows.filter((row) => row.stack.some((f) => f.function === 'allocate_many'));
    expect(own.reduce((sum, row) => sum + (row.count ?? 0), 0)).toBe(200_000);
    expect(own.every((row) => row.stack.some((f) => f.function === 'allocate_much'))).toBe(true);
    const [constructed] = table.rows.filter((row) => row.bytes === 7_000_001);
    expect(constructed?.stack.map((frame) => frame.function)).toContain('in_constructor');
    expect(table.stats.droppedRecords).toBe(0);
  });

  test.each([[[]], [['--sample-bytes', '524288']]])(
    'comes and goes in threads, %j',
    async (flags) => {
      await sameAsPlain(['threads', `${many}:${nearby}`, '3000'], flags);
    },
  );

  test('is loaded and unloaded while trackers begin and end', async () => {
    const args = ['restarts', `${many}:${nearby}`, '10'];
    const env = { ...truth.environment, ...environment };
    const out = execFileSync(process.execPath, [fixture('loading.cjs'), ...args], {
      ...{ env, encoding: 'utf8', cwd: join(truth.folder, 'below') },
    });
    expect(out).toBe('restarts true\n');
    // Each start waits for the linker's lock, which the threads hardly ever give up.
  }, 120_000);
});

describe('an addon’s own dlopen', () => {
  test.each([
    ['its folder', '$ORIGIN/nearby.so'],
    ['its RUNPATH', 'only_by_runpath.so'],
    ['a bare name of the system', 'libresolv.so.2'],
    ['a name that does not exist', 'libmemdrift-none.so'],
  ])('finds %s', async (_, name) => {
    await sameAsPlain(['name', name]);
  });

  test('loads another libc into a namespace of its own', async () => {
    const table = await leaksOf(await sameAsPlain(['namespace', nearby]));
    expect(table.rows.filter((row) => row.bytes === 5_000_000)).toEqual([]);
  });

  test('finds the next malloc, whose blocks are recorded', async () => {
    const table = await leaksOf(await sameAsPlain(['next', '']));
    const held = table.rows.filter((row) => row.bytes === 6_000_001);
    expect(held.map((row) => row.kind)).toEqual(['malloc']);
  });

  test("loads and unloads glibc's converters", async () => {
    await sameAsPlain(['converters', '']);
  });
});
