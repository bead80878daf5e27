/** The store under kill -9: bench/soak_store.mjs, for as long as a test may take. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const soak = fileURLToPath(new URL('../../bench/soak_store.mjs', import.meta.url));

it('has every sealed byte after the deaths of its processes, and leaves no file', () => {
  const said = spawnSync(process.execPath, [soak, '--minutes', '0.33', '--clients', '6'], {
    encoding: 'utf8',
  });
  expect(said.stdout).toMatch(/\nno lost byte\n$/);
  expect(said.status).toBe(0);
  const [, kills, puts] = /(\d+) kills, \d+ stops, (\d+) puts/.exec(said.stdout) ?? [];
  expect(Number(kills)).toBeGreaterThan(0);
  expect(Number(puts)).toBeGreaterThan(0);
  const left = readdirSync('/dev/shm').filter((f) => f.startsWith(`memdrift.soak-${said.pid}`));
  expect(left).toEqual([]);
});
