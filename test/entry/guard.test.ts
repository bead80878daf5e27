/** The guard closes the inspector that a command left open, and ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { evaluateIn } from '../../src/entry/inspector.ts';
import { type Listener, listenersOf } from '../../src/entry/listeners.ts';
import { Children, idleScript } from '../children.ts';
import { killEntries } from './killed_entries.ts';
import { guardsOf } from './left_behind.ts';

const children = new Children();
afterEach(() => children.endAll());

/** Returns the ports of the clients that are connected to the listener. */
function connectionsAt({ port }: Listener): readonly string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(end) && state === '01')
    .map(([, , remote = '']) => remote);
}

const entryModule = new URL('../../dist/entry/inspector.js', import.meta.url).href;

/** More of them are in test/system. */
test('leaves no port and no guard after a command was killed at any moment', async () => {
  const script = 'setInterval(() => {}, 50);';
  expect(await killEntries({ kills: 18, seed: 15, script, expect })).toBeGreaterThan(9);
}, 240_000);

test("keeps a killed command's connection until the answer", async () => {
  const child = await children.run(process.execPath, [
    '--inspect-port=0',
    '-e',
    `${idleScript}; process.stdin.on('data', () => console.log('goes on'));`,
  ]);
  const expression = `console.log('begun'), (() => {
    const end = Date.now() + 3000; while (Date.now() < end); console.log('done'); })()`;
  const code = `import { evaluateIn } from ${JSON.stringify(entryModule)};
    await evaluateIn(${child.pid}, { expression: ${JSON.stringify(expression)} },
      { yesOpenInspector: true });`;
  const command = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' });
  expect(await child.line()).toBe('begun');
  const [listener] = listenersOf(child.pid);
  const connections = connectionsAt(listener as Listener);
  expect(connections).toHaveLength(1);
  command.kill('SIGKILL');
  await once(command, 'exit');
  await sleep(500);
  expect(connectionsAt(listener as Listener)).toEqual(connections);
  expect(await child.line()).toBe('done');
  await expect.poll(() => guardsOf(child.pid), { timeout: 60_000 }).toEqual([]);
  expect(listenersOf(child.pid)).toEqual([]);
  expect(await child.ask('still there?')).toBe('goes on');
}, 120_000);

test('evaluates once when the inspector closes meanwhile', async () => {
  const child = await children.run(process.execPath, [
    '--inspect=127.0.0.1:0',
    '-e',
    `${idleScript}; process.stdin.on('data', () => console.log('goes on'));`,
  ]);
  const expression = `console.log('evaluated'), process.getBuiltinModule('inspector').close()`;
  await expect(
    evaluateIn(child.pid, { expression }, { yesOpenInspector: true }),
  ).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    message: expect.stringMatching(/ did not answer \(the connection was closed\)$/),
    details: { pid: child.pid },
  });
  expect(await child.line()).toBe('evaluated');
  expect(await child.ask('still there?')).toBe('goes on');
  expect(listenersOf(child.pid)).toEqual([]);
});

test('leaves none when the process is busy and blocked in turns', async () => {
  const script = `setInterval(() => {
    const end = Date.now() + 200; while (Date.now() < end);
    require('node:child_process').execSync('sleep 0.3'); }, 100);`;
  expect(await killEntries({ kills: 9, seed: 16, script, expect })).toBeGreaterThan(4);
}, 240_000);

test('closes what Node opens again once JavaScript that was interrupted ends', async () => {
  const ms = 12_000;
  const { pid } = await children.node(`console.log('ready');
    setTimeout(() => { const end = Date.now() + ${ms}; while (Date.now() < end); }, 500);
    setTimeout(() => {}, 120_000);`);
  await sleep(1000);
  await evaluateIn(pid, { expression: '1' }, { yesOpenInspector: true });
  // The loop is over, Node has handled the signal, and the guard has seen it.
  await expect.poll(() => guardsOf(pid), { timeout: 60_000 }).toEqual([]);
  await sleep(500);
  expect(listenersOf(pid)).toEqual([]);
}, 120_000);
