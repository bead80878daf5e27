/** explain() of other processes: how they are asked, and what is said of those that cannot be. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { explain } from '../../src/drift/explain.ts';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { listenersOf } from '../../src/entry/listeners.ts';
import { checkSame, identify, isKernelThread } from '../../src/entry/process_identity.ts';
import { Children } from '../children.ts';
import { root } from '../tidy/files.ts';
import { Addons } from './addons.ts';

const children = new Children();
const others: ChildProcess[] = [];
const addons = new Addons();
afterEach(async () => {
  for (const one of others.splice(0)) one.kill('SIGKILL');
  await children.endAll();
});
afterAll(() => addons.remove());

const script = `
  globalThis.held = [];
  for (let i = 0; i < 32; i++) held.push(Buffer.alloc(1 << 20, 1));
  for (let i = 0; i < 4096; i++) held.push(Buffer.alloc(8192, 1));
  console.log('ready ' + process.pid);
  setInterval(() => {}, 1000);`;
const heldBytes = 64 << 20;
const options = { yesOpenInspector: true };

const bytesOf = ({ causes }: Explanation, cause: string): number | null =>
  causes.find((row) => row.cause === cause)?.bytes ?? null;

function expectSums({ causes, rssBytes, unexplainedBytes }: Explanation): void {
  expect(causes.reduce((all, row) => all + (row.bytes ?? 0), unexplainedBytes)).toBe(rssBytes);
}

describe('a Node process', () => {
  test('is asked through its inspector, which is closed again', async () => {
    const { pid } = await children.node(script);
    const explanation = await explain(pid, options);
    expect(explanation).toMatchObject({ pid, source: 'inspector', nodeVersion: process.version });
    expectSums(explanation);
    const bytes = bytesOf(explanation, 'array-buffers') ?? 0;
    expect(Math.abs(bytes - heldBytes)).toBeLessThan(0.03 * heldBytes);
    expect(listenersOf(pid)).toEqual([]);
  });

  test('is asked at its socket, where memdrift run started it', async () => {
    const args = ['run', '-o', join(addons.folder, 'run.mdc'), '-e', script];
    // The command becomes the program.
    const { pid } = await children.run(process.execPath, [join(root, 'dist/cli.js'), ...args]);
    const explanation = await explain(pid);
    expect(explanation).toMatchObject({ source: 'socket', nodeVersion: process.version });
    expectSums(explanation);
    expect(bytesOf(explanation, 'memdrift')).toBeGreaterThan(1e6);
  });

  test('that memdrift run started and that is busy is asked by its inspector', async () => {
    const busy = `const end = Date.now() + 60_000;
      setTimeout(() => { console.log('ready'); while (Date.now() < end) Math.sqrt(end); }, 10);`;
    const file = join(addons.folder, 'busy.mdc');
    const node = ['NODE_OPTIONS=--inspect-port=0', process.execPath];
    const args = [join(root, 'dist/cli.js'), 'run', '-o', file, '-e', busy];
    const { pid } = await children.run('env', [...node, ...args]);
    const explanation = await explain(pid, options);
    expect(explanation).toMatchObject({ source: 'inspector', tracking: { attach: false } });
    expectSums(explanation);
    expect(bytesOf(explanation, 'memdrift')).toBeGreaterThan(1e6);
  });

  test('is judged from outside when that is asked for: in malloc’s memory or in V8’s', async () => {
    const { pid } = await children.node(script);
    const explanation = await explain(pid, { outside: true });
    expect(explanation).toMatchObject({ source: 'outside', nodeVersion: null, v8: null });
    expectSums(explanation);
    const row = explanation.causes.find(({ cause }) => cause === 'malloc-in-use');
    expect(row).toMatchObject({ exactness: 'estimated', detail: expect.stringContaining('glibc') });
    expect(row?.bytes).toBeGreaterThan(heldBytes);
    expect(row?.bytes).toBeLessThan(heldBytes + 16e6);
    expect(bytesOf(explanation, 'v8-heap')).toBeGreaterThan(3e6);
    expect(bytesOf(explanation, 'array-buffers')).toBeNull();
    expect(explanation.unexplainedBytes).toBeLessThan(4e6);
  });

  test('that handles no SIGUSR1 as Node does is judged from outside, with the reason', async () => {
    const { pid } = await children.run('sh', ['-c', 'echo ready; read line']);
    const explanation = await explain(pid, options);
    expect(explanation).toMatchObject({ source: 'outside', options: { outside: false } });
    expect(explanation.sourceReason).toContain('SIGUSR1');
    expectSums(explanation);
    expect(bytesOf(explanation, 'v8-heap')).toBe(0);
  });
});

describe('a number that is no process with memory', () => {
  test('has ended', async () => {
    const child = await children.node("console.log('ready')");
    if (child.process.exitCode === null) await once(child.process, 'exit');
    await expect(explain(child.pid)).rejects.toMatchObject({ code: 'ERR_GONE' });
  });

  test('has ended, and nobody has waited for it', async () => {
    // The shell becomes a program that does not wait for children.
    const parent = spawn('sh', ['-c', 'true & exec sleep 60']);
    others.push(parent);
    const zombie = await childOf(parent.pid as number, (status) => /^State:\tZ/m.test(status));
    await expect(explain(zombie)).rejects.toMatchObject({
      code: 'ERR_GONE',
      message: expect.stringContaining('zombie'),
    });
  });

  test('recognizes a kernel thread by its flags, not by its missing memory', () => {
    expect(isKernelThread('S 0 0 0 0 -1 2129984 0 0'.split(' '))).toBe(true);
    // PF_EXITING.
    expect(isKernelThread('R 1 9 9 0 -1 4194564 0 0'.split(' '))).toBe(false);
  });

  test.each([[-1], [1.5], [2 ** 31]])('%s', async (pid) => {
    await expect(explain(pid)).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });
});

describe('a process that is another one than it was', () => {
  test('has another start time: its number was used again', async () => {
    const { pid } = await children.node("console.log('ready'); setInterval(() => {}, 1000)");
    const before = identify(pid);
    checkSame(before);
    expect(() => checkSame({ ...before, startTimeTicks: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_GONE' }),
    );
  });

  test('runs another program', async () => {
    const shell = await children.run('sh', ['-c', 'echo ready; read line; exec cat']);
    const before = identify(shell.pid);
    shell.process.stdin?.write('go\n');
    // cat answers only after exec().
    expect(await shell.ask('there')).toBe('there');
    expect(() => checkSame(before)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
  });
});

async function childOf(pid: number, is: (status: string) => boolean): Promise<number> {
  for (;;) {
    const child = readdirSync('/proc').find((name) => parentOf(name) === pid && is(statusOf(name)));
    if (child !== undefined) return Number(child);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function parentOf(name: string): number {
  return Number(/^PPid:\t(\d+)/m.exec(statusOf(name))?.[1]);
}

function statusOf(name: string): string {
  if (!/^\d+$/.test(name)) return '';
  try {
    return readFileSync(`/proc/${name}/status`, 'latin1');
  } catch {
    return '';
  }
}
