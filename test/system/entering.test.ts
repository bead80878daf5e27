/** Entering processes: a hundred kills, other namespaces and roots, other users. Needs root. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { explain } from '../../src/drift/explain.ts';
import { evaluateIn } from '../../src/entry/inspector.ts';
import { listenersOf } from '../../src/entry/listeners.ts';
import { lookAtTarget } from '../../src/entry/node_proof.ts';
import { attach } from '../../src/tracker/attach.ts';
import { Children } from '../children.ts';
import { killEntries } from '../entry/killed_entries.ts';
import { guardsOf } from '../entry/left_behind.ts';

const children = new Children();
const folder = mkdtempSync(join(tmpdir(), 'memdrift-entering-'));
afterEach(() => children.endAll());
afterAll(() => rmSync(folder, { recursive: true }));

const forced = { yesOpenInspector: true, signal: true };
const program = `console.log('ready'); setInterval(() => {}, 1000);
  process.stdin.on('data', () => console.log('goes on'));`;

const scenes = {
  idle: { script: 'setInterval(() => {}, 50);', kills: 60, seed: 4711 },
  busy: {
    script: 'setInterval(() => { const end = Date.now() + 150; while (Date.now() < end); }, 5);',
    kills: 40,
    seed: 4712,
  },
  blocked: {
    script: "setInterval(() => require('node:child_process').execSync('sleep 0.4'), 50);",
    kills: 40,
    seed: 4713,
  },
};
const scenesByName = Object.entries(scenes);

// At once: most of their time is waiting.
test.concurrent.for(scenesByName)(
  'a command killed at any moment leaves nothing at a process that is %s',
  async ([, scene], { expect }) => {
    expect(await killEntries({ ...scene, expect })).toBeGreaterThan(scene.kills / 2);
  },
);

describe('refuses a Node, even with --signal, that', () => {
  const entered = async (pid: number, reason: RegExp): Promise<void> => {
    const explanation = await explain(pid, forced);
    expect(explanation).toMatchObject({ source: 'outside' });
    expect(explanation.sourceReason).toMatch(reason);
    const path = join(folder, 'none.mdc');
    await expect(attach(pid, { path, ...forced })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(reason),
    });
  };

  test('has its own network namespace', async () => {
    const child = await children.run('unshare', ['-n', process.execPath, '-e', program]);
    await entered(child.pid, /is in another network namespace/);
    expect(await child.ask('still there?')).toBe('goes on');
  });

  test('has a root without our files', async () => {
    const root = join(folder, 'root');
    const libraries = spawnSync('ldd', [process.execPath], { encoding: 'utf8' }).stdout;
    for (const [file = ''] of [...libraries.matchAll(/\/\S+/g), [process.execPath]]) {
      mkdirSync(join(root, file, '..'), { recursive: true });
      copyFileSync(file, join(root, file));
    }
    const child = await children.run('chroot', [root, process.execPath, '-e', program]);
    await entered(child.pid, /does not see .*\(it has another root\)/);
    expect(await child.ask('still there?')).toBe('goes on');
  });
});

test('never begins an expression that a blocked main thread did not begin in time', async () => {
  // Warm, so that no JavaScript is between the opening of the inspector and the native call.
  const blocks = `const inspector = require('node:inspector');
    const { execSync } = require('node:child_process');
    execSync('true');
    setTimeout(() => { const end = Date.now() + 20_000;
      while (inspector.url() === undefined && Date.now() < end);
      execSync('sleep 25'); console.log('runs again'); }, 0);`;
  const args = ['--inspect-port=0', '-e', `${program} ${blocks}`];
  const child = await children.run(process.execPath, args);
  const question = { expression: "console.log('too late'), 1" };
  await expect(evaluateIn(child.pid, question, forced)).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    message: expect.stringMatching(/did not answer \(waited 20 s\): its main thread is blocked/),
  });
  expect(await child.line()).toBe('runs again');
  const settled = { timeout: 30_000 };
  await expect.poll(() => listenersOf(child.pid), settled).toEqual([]);
  await expect.poll(() => guardsOf(child.pid), settled).toEqual([]);
  expect(await child.ask('still there?')).toBe('goes on');
});

test('enters a stripped Node only with --signal', async () => {
  const stripped = join(folder, 'stripped-node');
  copyFileSync(process.execPath, stripped);
  expect(spawnSync('strip', [stripped]).status).toBe(0);
  const child = await children.run(stripped, ['--inspect-port=0', '-e', program]);
  expect(lookAtTarget(child.pid).doubt).toMatch(/stripped/);
  const allowed = { yesOpenInspector: true };
  expect(await explain(child.pid, allowed)).toMatchObject({ source: 'outside' });
  expect(await explain(child.pid, forced)).toMatchObject({ source: 'inspector' });
  expect(listenersOf(child.pid)).toEqual([]);
  expect(await child.ask('still there?')).toBe('goes on');
});
