/** The guard closes the inspector that a command left open, and ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { evaluateIn } from '../../src/entry/inspector.ts';
import { listenersOf } from '../../src/entry/listeners.ts';
import { Children } from '../children.ts';
import { killEntries } from './killed_entries.ts';
import { guardsOf } from './left_behind.ts';

const children = new Children();
afterEach(() => children.endAll());

/** More of them are in test/system. */
test('leaves no port and no guard after a command was killed at any moment', async () => {
  const script = 'setInterval(() => {}, 50);';
  expect(await killEntries({ kills: 18, seed: 15, script })).toBeGreaterThan(9);
}, 240_000);

test('leaves none when the process is busy and blocked in turns', async () => {
  const script = `setInterval(() => {
    const end = Date.now() + 200; while (Date.now() < end);
    require('node:child_process').execSync('sleep 0.3'); }, 100);`;
  expect(await killEntries({ kills: 9, seed: 16, script })).toBeGreaterThan(4);
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
