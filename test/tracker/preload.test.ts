/** Programs that the preload could disturb start and run as without it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-preload-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  /** Standard error without the lines of `run` itself. */
  readonly stderr: string;
}

function node(words: readonly string[], env: NodeJS.ProcessEnv = {}): Ran {
  const all = { ...process.env, ...env };
  const options = { cwd: folder, env: all, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, words, options);
  return { status, stdout, stderr: stderr.replace(/^memdrift: captures in .*\n/m, '') };
}

const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Ran =>
  node([cli, 'run', ...words], env);

function script(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test.each(['app.foo', 'app'])('runs an entry file that is named %s', (name) => {
  const file = script(name, 'console.log(require.main === module, process.execArgv.length)');
  expect(run([file])).toEqual(node([file]));
});

test.each([
  [10, ''],
  [11, ''],
  [20, 'require("node:events").defaultMaxListeners = 20;'],
  [30, 'process.setMaxListeners(30);'],
  [50, 'process.setMaxListeners(0);'],
])('lets the program have %i listeners of its exit, as %j says', (count, before) => {
  const code = `${before} process.on('warning', ({ name }) => console.log(name));
    for (let i = 0; i < ${count}; i++) process.on('exit', () => {});
    setTimeout(() => console.log('ran'), 20)`;
  const [plain, tracked] = [node(['--no-warnings', '-e', code]), run(['-e', code])];
  expect(tracked.stdout).toBe(plain.stdout);
  expect(tracked.stdout).toContain('ran');
});

describe('a child under the permission model', () => {
  const flag = process.version.startsWith('v20.') ? '--experimental-permission' : '--permission';
  const child = script('child.cjs', 'console.log("ran")');
  const allowed = JSON.stringify([flag, `--allow-fs-read=${folder}/*`, '--no-warnings', child]);
  const ends = 'console.log(status, String(stdout))';

  test.each([
    ['spawnSync', `const { status, stdout } = spawnSync(process.execPath, ${allowed}); ${ends}`],
    ['spawn', `spawn(process.execPath, ${allowed}, { stdio: 'inherit' })`],
    ['a shell', `execSync([process.execPath, ...${allowed}].join(' '), { stdio: 'inherit' })`],
  ])('starts by %s, and says at most one line', (_, start) => {
    const code = `const { spawn, spawnSync, execSync } = require('node:child_process'); ${start}`;
    const [plain, tracked] = [node(['-e', code]), run(['-e', code])];
    expect(tracked).toMatchObject({ status: plain.status, stdout: plain.stdout });
    expect(tracked.stdout).toContain('ran');
    expect(tracked.stderr).toMatch(/^(memdrift: process \d+ is not tracked: .*\n)?$/);
  });
});

test.each([
  '',
  'null',
  '[]',
  '{"folder":1}',
  '{"folder":"relative","file":null,"socketFolder":null,"options":{}}',
  '{"folder":"/x","file":null,"socketFolder":null,"options":{"intervalMs":-1}}',
  '{"folder":"/no/such","file":null,"socketFolder":null,"options":{}}',
])('runs the program under the order %j, and says why it is not tracked', (order) => {
  const preload = join(root, 'dist/tracker/preload.cjs');
  const words = ['--require', preload, '-e', 'console.log("ran")'];
  const { status, stdout, stderr } = node(words, { MEMDRIFT_TRACK: order });
  expect([status, stdout]).toEqual([0, 'ran\n']);
  expect(stderr).toMatch(/^memdrift: process \d+ is not tracked: .+\n$/);
});

test("runs without a control socket when the socket folder is another user's", () => {
  const temporary = join(folder, 'temporary');
  const taken = join(temporary, `memdrift-${process.getuid?.()}`);
  mkdirSync(taken, { recursive: true, mode: 0o755 });
  const { status, stdout, stderr } = run(['-e', 'console.log("ran")'], {
    TMPDIR: temporary,
    XDG_RUNTIME_DIR: '',
  });
  expect([status, stdout]).toEqual([0, 'ran\n']);
  expect(stderr).toMatch(
    /^memdrift: attach, detach and explain will not reach .*only this user.*\n$/,
  );
  expect(readdirSync(taken)).toEqual([]);
});

test('does nothing while Node builds a snapshot', () => {
  const entry = script('snapshot.cjs', 'globalThis.made = 1');
  const words = ['--snapshot-blob', join(folder, 'snapshot.blob'), '--build-snapshot', entry];
  const code = `const { spawnSync } = require('node:child_process');
    const { status, stderr } = spawnSync(process.execPath, ${JSON.stringify(words)});
    console.log(status, String(stderr))`;
  expect(run(['-e', code])).toEqual(node(['-e', code]));
});
