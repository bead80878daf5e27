/** The folder for sockets, where the environment names one that cannot have it. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askTracked } from '../src/entry/control_client.ts';
import { socketFolder } from '../src/socket_folder.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memdrift-test-sockets-'));
  vi.stubEnv('XDG_RUNTIME_DIR', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('makes no TMPDIR that is missing, and names the remedy', () => {
  const missing = join(folder, 'missing');
  vi.stubEnv('TMPDIR', missing);
  const message = expect.stringMatching(/missing\/memdrift-\d+ for sockets \(ENOENT\); set TMPDIR/);
  expect(socketFolder).toThrow(expect.objectContaining({ code: 'ERR_SYSTEM', message }));
  expect(existsSync(missing)).toBe(false);
});

test('finds no socket of a program where the folder cannot be made', async () => {
  vi.stubEnv('TMPDIR', '/dev/null');
  expect(await askTracked(process.pid, { do: 'ping' })).toBeNull();
});
