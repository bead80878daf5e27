/** Captures of several runs in one folder. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readCaptureStats } from '../../src/capture/capture.ts';
import { root } from '../tidy/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'memdrift-runs-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('names the run in the captures of its program and of its children', async () => {
  const cli = join(root, 'dist/cli.js');
  const script = "require('node:child_process').execFileSync(process.execPath, ['-e', '0'])";
  for (const name of ['a.mdc', 'b.mdc'])
    execFileSync(process.execPath, [cli, 'run', '-o', join(folder, name), '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const names = readdirSync(folder).filter((name) => name.endsWith('.mdc'));
  expect(names).toHaveLength(4);
  const stats = await Promise.all(names.map((name) => readCaptureStats(join(folder, name))));
  const runs = stats.map(({ run }) => run);
  expect(new Set(runs).size).toBe(2);
  for (const run of runs) {
    expect(run).toMatch(/^\d+-\d+$/);
    const roles = stats.filter((one) => one.run === run).map(({ role }) => role);
    expect(roles.sort()).toEqual(['child', 'main']);
  }
}, 60_000);
