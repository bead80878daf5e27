/** Programs of root that start others as another user, who cannot enter the package. Needs root. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** Mode 0700, as mkdtemp makes it. */
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-users-'));
const places = ['/run/memdrift', '/dev/shm/memdrift-preload'];

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  for (const place of places) removePreloads(place);
});

/** The files of the package in `folder`, which is gone. */
function removePreloads(place: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(place);
  } catch {
    return;
  }
  for (const name of names) {
    const file = join(place, name);
    if (readFileSync(file, 'utf8').includes(folder)) rmSync(file);
  }
}

function privatePackage(): string {
  const to = join(folder, 'with "space');
  mkdirSync(join(to, 'build/Release'), { recursive: true });
  for (const path of ['dist', 'package.json', 'build/Release/memdrift.node'])
    cpSync(join(root, path), join(to, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  return join(to, 'dist/cli.js');
}

const child = JSON.stringify(['-e', 'console.log("ran as", process.getuid())']);
const programs = {
  'by the option uid': `
    const options = { uid: 65534, gid: 65534, cwd: '/', encoding: 'utf8' };
    show(spawnSync(process.execPath, ${child}, options));`,
  'by setpriv': `
    const words = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    show(spawnSync('setpriv', [...words, ...${child}], { cwd: '/', encoding: 'utf8' }));`,
  'after a change of its own user': `
    process.chdir('/'); process.setgid(65534); process.setuid(65534);
    show(spawnSync(process.execPath, ${child}, { encoding: 'utf8' }));`,
  'in a worker after it': `
    process.chdir('/'); process.setgid(65534); process.setuid(65534);
    const { Worker } = require('node:worker_threads');
    new Worker('console.log("ran as", process.getuid())', { eval: true })
      .on('error', (error) => console.log(error.message));`,
};

describe.each(['a package of root alone', 'a public package'])('%s', (kind) => {
  const cli = kind === 'a public package' ? join(root, 'dist/cli.js') : privatePackage();

  test.each(Object.entries(programs))('does not keep a child from running %s', (_, program) => {
    const code = `const { spawnSync } = require('node:child_process');
      const show = ({ status, stdout, stderr }) => {
        console.log(status, stdout);
        process.stderr.write(stderr);
      };
      ${program}`;
    const start = (...words: string[]) =>
      spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' });
    const plain = start('-e', code);
    const tracked = start(cli, 'run', '-e', code);
    expect(plain.stdout).toContain('ran as 65534');
    expect(tracked).toMatchObject({ status: plain.status, stdout: plain.stdout });
    const lines = tracked.stderr.split('\n').filter((line) => line.includes('not tracked'));
    expect(lines.length).toBeLessThanOrEqual(1);
  });
});
