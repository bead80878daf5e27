/** The guard closes what a killed command has left open, and ends. */
import { expect, test } from 'vitest';
import { killEntries } from './killed_entries.ts';

/** More of them are in test/system. */
test('a command that is killed at any moment leaves no port and no guard', async () => {
  const script = 'setInterval(() => {}, 50);';
  expect(await killEntries({ kills: 18, seed: 15, script })).toBeGreaterThan(9);
}, 240_000);

test('so does one that is killed while the process is busy and blocked in turns', async () => {
  const script = `setInterval(() => {
    const end = Date.now() + 200; while (Date.now() < end);
    require('node:child_process').execSync('sleep 0.3'); }, 100);`;
  expect(await killEntries({ kills: 9, seed: 16, script })).toBeGreaterThan(4);
}, 240_000);
