/** Attaching to processes as they are found: idle, busy, not ours to signal, not Node at all. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { readCaptureTable } from '../../src/capture/capture.ts';
import { listenersOf } from '../../src/entry/listeners.ts';
import { attach, detach } from '../../src/tracker/attach.ts';
import { GroundTruth, heldUnder, rowsOf } from '../ground_truth.ts';

const truth = new GroundTruth();
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => truth.remove());

/** A process that has said a line, with its pid. */
async function start(command: string, ...args: string[]): Promise<number> {
  const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
  const child = spawn(command, args, { env: truth.environment, stdio });
  children.push(child);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child.pid as number;
}

const common = `
  const truth = require(process.env.GROUND_TRUTH);
  globalThis.kept = [];
  function after_attach() { kept.push(truth.malloc(40_000)); }
  console.log('ready');`;
const programs = {
  idle: `${common} setInterval(after_attach, 5)`,
  'busy in JavaScript': `${common}
    (function turn() { const end = Date.now() + 300; while (Date.now() < end);
      for (let i = 0; i < 20; i++) after_attach(); setTimeout(turn, 1); })()`,
  'without require': `import { createRequire } from 'node:module';
    const require = createRequire(process.env.GROUND_TRUTH); ${common}
    setInterval(after_attach, 5)`,
};

let files = 0;
const newFile = (): string => join(truth.folder, `attached-${++files}.mdc`);
const allowed = { yesOpenInspector: true };

/** Waits for the condition; a loaded machine takes many times as long. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition()) && performance.now() < deadline) await sleep(50);
}

/**
 * Reads the written part of a running program's capture. Optimized code of `turn` can include
 * after_attach(); blocks are then under `turn`.
 */
async function heldAfterAttach(path: string): Promise<number> {
  const table = await readCaptureTable(path, { leaks: true });
  const held = ['after_attach', 'turn'].flatMap((name) => rowsOf(table, name));
  const ofProgram = [...new Set(held)].filter(({ kind, bytes, count }) => {
    return kind === 'malloc' && bytes === 40_000 * (count ?? 0);
  });
  return ofProgram.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('a process that was not prepared', () => {
  test.each(Object.entries(programs))('%s', { timeout: 90_000 }, async (name, program) => {
    // A port of its own: processes that are asked at one port take turns.
    const flags = ['--inspect-port=0'];
    if (name === 'without require') flags.push('--input-type=module');
    const pid = await start(process.execPath, ...flags, '-e', program);
    const path = newFile();
    await attach(pid, { path, sampleBytes: 0, ...allowed });
    await until(() => listenersOf(pid).length === 0);
    expect(listenersOf(pid)).toEqual([]);
    await expect(attach(pid, { path: newFile(), ...allowed })).rejects.toMatchObject({
      code: 'ERR_STATE',
      message: expect.stringMatching(/^process \d+ is being tracked already; memdrift detach \d+/),
    });
    await until(async () => (await heldAfterAttach(path)) >= 400_000);
    expect(await detach(pid, allowed)).toBe(path);
    const { stats } = await readCaptureTable(path, { leaks: true });
    expect(stats).toMatchObject({ role: 'attached', pid, damage: null });
    expect(await heldAfterAttach(path)).toBeGreaterThanOrEqual(400_000);
    await expect(detach(pid, allowed)).rejects.toMatchObject({ code: 'ERR_STATE' });
  });

  test('whose inspector is open already, and stays so', async () => {
    const pid = await start(process.execPath, '--inspect=0', '-e', programs.idle);
    const ports = listenersOf(pid);
    expect(ports).toHaveLength(1);
    await attach(pid, { path: newFile(), ...allowed });
    await detach(pid, allowed);
    expect(listenersOf(pid)).toEqual(ports);
  });

  test('by the command, for so many seconds', async () => {
    const pid = await start(process.execPath, '--inspect-port=0', '-e', programs.idle);
    const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
    const path = newFile();
    const args = ['attach', String(pid), '-o', path, '--duration', '0.5', '--yes-open-inspector'];
    const { status, stdout } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, `${path}\n`]);
    const { stats } = await readCaptureTable(path);
    expect(stats).toMatchObject({ sampleBytes: 524_288, damage: null });
    expect(stats.durationMs).toBeGreaterThan(400);
  });
});

describe('what cannot be attached to is said, and goes on', () => {
  const refusal = (pid: number) => attach(pid, { path: newFile(), ...allowed });

  test('a process that SIGUSR1 would end', async () => {
    const pid = await start('sh', '-c', 'echo ready; sleep 60 & wait');
    await expect(refusal(pid)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  test('one that handles SIGUSR1 itself', { timeout: 20_000 }, async () => {
    const code = "process.on('SIGUSR1', () => {}); console.log('x'); setInterval(() => {}, 1000)";
    const pid = await start(process.execPath, '-e', code);
    await expect(refusal(pid)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });

  test('no process', async () => {
    await expect(refusal(999_999_999)).rejects.toMatchObject({ code: 'ERR_GONE' });
  });

  test('a file that is there', async () => {
    const pid = await start(process.execPath, '-e', programs.idle);
    const options = { path: truth.addon, ...allowed };
    await expect(attach(pid, options)).rejects.toMatchObject({ code: 'ERR_EXISTS' });
  });

  test('a missing folder', async () => {
    const pid = await start(process.execPath, '-e', programs.idle);
    const path = join(truth.folder, 'missing', 'a.mdc');
    await expect(attach(pid, { path, ...allowed })).rejects.toMatchObject({
      code: 'ERR_INVALID',
      message: expect.stringMatching(/missing does not exist; make it, or name another file/),
    });
  });
});

test('with jsHeap, JavaScript objects from then on', async () => {
  const program = `globalThis.kept = [];
    function holds_objects() { for (let i = 0; i < 200_000; i++) kept.push({ i, j: i, k: i }); }
    process.on('SIGUSR2', () => { holds_objects(); console.log('made'); });
    console.log('ready'); setInterval(() => {}, 1000)`;
  const pid = await start(process.execPath, '-e', program);
  const path = newFile();
  await attach(pid, { path, jsHeap: true, ...allowed });
  const made = once(children.at(-1)?.stdout as NodeJS.ReadableStream, 'data');
  process.kill(pid, 'SIGUSR2');
  await made;
  await detach(pid, allowed);
  const table = await readCaptureTable(path, { leaks: true });
  const held = heldUnder(table, 'holds_objects').jsheap ?? 0;
  // 48 bytes an object, and up to 2.2 MB for the array. With a sample every 64 KiB on average a
  // standard deviation is 0.9 MB of 11.5, and the bounds are four of these away.
  expect(held).toBeGreaterThan(7_900_000);
  expect(held).toBeLessThan(15_400_000);
});
