/** Programs that `memdrift run` started: they answer at a socket of their own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { readCaptureTable } from '../../src/capture/capture.ts';
import type { CaptureTable } from '../../src/capture/capture_model.ts';
import { isRunning } from '../../src/capture/running.ts';
import { askTracked } from '../../src/entry/control_client.ts';
import { listenersOf } from '../../src/entry/listeners.ts';
import { socketFolder, sweepSockets } from '../../src/socket_folder.ts';
import { attach, detach } from '../../src/tracker/attach.ts';
import { Tracker } from '../../src/tracker/tracker.ts';
import { fixture, GroundTruth, heldUnder, rowsOf } from '../ground_truth.ts';

const truth = new GroundTruth();
const pids: number[] = [];
afterEach(() => {
  for (const pid of pids.splice(0).filter(isRunning)) process.kill(pid, 'SIGKILL');
});
afterAll(() => truth.remove());

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const code = `const truth = require(process.env.GROUND_TRUTH);
  function first() { globalThis.one = truth.malloc(1_000_001); }
  function second() { globalThis.two = truth.malloc(1_000_002); }
  first();
  process.on('SIGUSR2', second);
  process.stdout.write(process.pid + '\\n');
  setInterval(() => {}, 1000);`;

let runs = 0;
/** A running program, its pid and its capture. */
async function run(...flags: string[]): Promise<{ pid: number; capture: string }> {
  const capture = join(truth.folder, `run-${++runs}.mdc`);
  const command = [cli, 'run', '-o', capture, ...flags, '-e', code];
  const launcher = spawn(process.execPath, command, { env: truth.environment });
  launcher.stderr.resume();
  const [line] = await once(launcher.stdout, 'data');
  const pid = Number(line);
  pids.push(pid);
  return { pid, capture };
}

const socketOf = (pid: number): string | undefined =>
  readdirSync(socketFolder()).find((name) => name.startsWith(`tracked-${pid}-`));

const sizesUnder = (table: CaptureTable, name: string): readonly number[] =>
  rowsOf(table, name).map((row) => row.bytes);

describe('a program that memdrift run started', () => {
  test('ends its capture and begins another one when asked, without an inspector', async () => {
    const { pid, capture } = await run();
    expect(await detach(pid)).toBe(capture);
    // V8 may allocate under the function too: to compile it, say.
    expect(sizesUnder(await readCaptureTable(capture, { leaks: true }), 'first')).toContain(
      1_000_001,
    );
    await expect(detach(pid)).rejects.toMatchObject({ code: 'ERR_STATE' });

    const path = join(truth.folder, `again-${runs}.mdc`);
    await attach(pid, { path, sampleBytes: 0 });
    expect(listenersOf(pid)).toEqual([]);
    process.kill(pid, 'SIGUSR2');
    await sleep(200);
    expect(await detach(pid)).toBe(path);
    const table = await readCaptureTable(path, { leaks: true });
    expect(sizesUnder(table, 'second')).toContain(1_000_002);
    expect(heldUnder(table, 'first')).toEqual({});
  });

  test('is told that it is tracked already', async () => {
    const { pid } = await run();
    const path = join(truth.folder, `twice-${runs}.mdc`);
    await expect(attach(pid, { path })).rejects.toThrow('tracked already');
    expect(existsSync(path)).toBe(false);
  });

  test('has a socket for its user only, which is gone with it', async () => {
    const { pid } = await run();
    const name = socketOf(pid) ?? '';
    const status = statSync(join(socketFolder(), name));
    expect([status.isSocket(), status.mode & 0o777]).toEqual([true, 0o600]);
    process.kill(pid, 'SIGKILL');
    // Its memory goes first, which takes a loaded machine a while.
    const left = async () => {
      await sweepSockets();
      return socketOf(pid);
    };
    await expect.poll(left, { timeout: 20_000 }).toBeUndefined();
  });

  test('goes on whatever is sent to it', async () => {
    const { pid } = await run();
    const path = join(socketFolder(), socketOf(pid) ?? '');
    for (const text of ['', '\n', '{}\n', '{"do":"start"}\n', 'x'.repeat(1 << 20)]) {
      const socket = connect(path);
      socket.on('error', () => {});
      socket.resume();
      socket.end(text);
      await new Promise((resolve) => socket.on('close', resolve));
    }
    await detach(pid);
  });

  test.each([
    ['answers', (pid: number) => askTracked(pid, { do: 'ping' })],
    ['explains', (pid: number) => askTracked(pid, { do: 'explain' })],
    ['ends its capture', detach],
  ])('keeps the flags of a piped stderr when it %s', async (_, ask) => {
    const { pid } = await run();
    const flags = (): unknown => /^flags:.*/m.exec(readFileSync(`/proc/${pid}/fdinfo/2`, 'utf8'));
    const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const before = { flags: flags(), descriptors: descriptors() };
    await ask(pid);
    // The program's end of the connection is closed after ours.
    await expect.poll(descriptors, { timeout: 20_000 }).toBeLessThanOrEqual(before.descriptors);
    expect(flags()).toEqual(before.flags);
  });

  test('goes without children when told so, and they have their own options', async () => {
    const env = { NODE_OPTIONS: '--no-warnings' };
    const done = await truth.run(fixture('children.cjs'), { flags: ['--no-children'], env });
    expect([done.code, done.captures.length]).toEqual([0, 1]);
    const show = 'console.log(process.env.NODE_OPTIONS, process.env.MEMDRIFT_TRACK)';
    const shown = await truth.run('', { flags: ['--no-children', '-e', show], env });
    expect(shown.stdout).toBe('--no-warnings undefined\n');
  });
});

test('a Tracker with children follows them while it runs, and no longer', async () => {
  const path = join(truth.folder, 'with-children.mdc');
  const before = process.env.NODE_OPTIONS;
  const start = (): void => {
    execFileSync(process.execPath, ['-e', '0'], { env: process.env, stdio: 'ignore' });
  };
  const tracker = new Tracker(path, { children: true });
  start();
  await tracker.stop();
  start();
  expect(process.env.NODE_OPTIONS).toBe(before);
  const named = readdirSync(truth.folder).filter((name) => /^child-\d+-\d+\.mdc$/.test(name));
  expect(named).toHaveLength(1);
});
