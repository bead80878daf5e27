/** The guard closes the inspector that a killed command left open, and ends. */
import { expect, test } from 'vitest';
import { killEntries } from './killed_entries.ts';

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
