/** Programs run where /proc is not mounted, as in some chroots. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const cli = join(import.meta.dirname, '../../dist/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-proc-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['path', process.execPath],
  ['name', basename(process.execPath)],
])('run starts a program without /proc when Node is called by its %s', (_, node) => {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  const inside = 'umount -l /proc && exec "$0" "$@"';
  const program = ['-e', 'console.log("ran"); process.exitCode = 3'];
  const words = ['--mount', 'sh', '-c', inside, node, cli, 'run', ...program];
  const { status, stdout, stderr } = spawnSync('unshare', words, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  expect([status, stdout]).toEqual([3, 'ran\n']);
  expect(stderr).toMatch(/^memdrift: captures in .*\n$/);
});
