/** Commands where descriptors are few, as under `ulimit -n 20`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'memdrift-few-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program = ['-e', 'console.log(require("fs").readFileSync(process.execPath).length > 0)'];

function under(limit: number, args: readonly string[]) {
  const shell = ['-c', `ulimit -n ${limit} && exec "$@"`, 'sh', process.execPath, ...args];
  const { status, stdout } = spawnSync('sh', shell, { cwd: folder, encoding: 'utf8' });
  return { status, stdout };
}

/** The least limit under which Node itself runs a program that opens a file. */
function leastLimit(): number {
  let limit = 12;
  while (limit < 60 && under(limit, program).status !== 0) limit++;
  return limit;
}

test('run starts its program with two descriptors more than Node takes', () => {
  const limit = leastLimit();
  expect(limit).toBeLessThan(60);
  const tracked = under(limit + 2, [cli, 'run', '-o', 'few.mdc', ...program]);
  expect(tracked).toEqual({ status: 0, stdout: 'true\n' });
  // Commands that need more descriptors say so, like any program.
  expect(under(limit + 10, [cli, 'stats', 'few.mdc']).status).toBe(0);
});

test('help is the same with few descriptors as with many', () => {
  const few = under(40, [cli, '--help']);
  expect(few).toEqual(under(1024, [cli, '--help']));
  expect(few.stdout).toContain('memdrift');
});
