/** Command lines in captures, pages and exports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { writeMadeCapture } from '../made_capture.ts';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const inFolder = (name: string): string => join(captured.folder, name);
const secret = 'hunter2hunter2';

/** Returns the JSON at the start of the capture, as it is in the file. */
function infoOf(file: string): { argv: string[]; execArgv: string[] } {
  const [, json] = /(\{"role".*?\})/.exec(readFileSync(file, 'latin1').slice(0, 10_000)) ?? [];
  return JSON.parse(json as string);
}

describe('a secret in the command line', () => {
  const file = inFolder('secret.mdc');
  const argv = ['node', 'app.js', `--password=${secret}`, '--port=80'];
  writeMadeCapture(file, { depth: 1, blocks: [{ depth: 1, bytes: 1000 }], argv });

  test.each([
    [['stats', file]],
    [['stats', '--json', file]],
    [['table', '--json', file]],
    [['summary', '--json', file]],
    [['parse', file]],
    [['transform', 'pprof', '-o', '-', file]],
    [['transform', 'speedscope', '-o', '-', file]],
  ])('is not in what %j prints', (args) => {
    const { status, stdout } = captured.call(...args);
    expect(status).toBe(0);
    expect(stdout).not.toContain(secret);
  });

  test('is not in a page, which has the other arguments', () => {
    captured.call('flamegraph', '-f', file);
    const page = readFileSync(inFolder('secret.html'), 'utf8');
    expect(page).toContain('node app.js --password=*** --port=80');
    expect(page).not.toContain(secret);
  });

  test('is in the capture, and in the log of a watch, but in none of its reports', () => {
    expect(infoOf(file).argv).toEqual(argv);
    const [log, report] = [inFolder('w.jsonl'), inFolder('w.json')];
    const watched = ['true', `--token=${secret}`];
    const { stderr } = captured.call('watch', '--out', log, '--json', report, '--', ...watched);
    expect(stderr).toContain('true --token=***');
    expect(readFileSync(log, 'utf8')).toContain(secret);
    expect(readFileSync(report, 'utf8')).not.toContain(secret);
    captured.call('report', '-f', log);
    expect(readFileSync(inFolder('w.html'), 'utf8')).not.toContain(secret);
  });

  test('is not in the output of top', async () => {
    const child = start(['-e', 'setInterval(() => {}, 1e6)', '--', `--token=${secret}`]);
    await once(child, 'spawn');
    const { stdout } = captured.call('top', '--once', '--json', `${child.pid}`);
    expect(stdout).toContain('--token=***');
    expect(stdout).not.toContain(secret);
  });
});

describe('with --no-command-line', () => {
  const code = `const { spawnSync } = require('node:child_process');
    const secret = process.argv.at(-1);
    if (process.argv[2] !== 'child') spawnSync(process.execPath, [__filename, 'child', secret]);
    if (secret !== '${secret}') process.exit(7);`;
  const script = inFolder('app.cjs');
  writeFileSync(script, code);

  test('run keeps the names of a program and its children alone', () => {
    const folder = inFolder('bare');
    mkdirSync(folder);
    const to = ['-o', join(folder, 'main.mdc')];
    const { status } = captured.call('run', '--no-command-line', ...to, script, secret);
    expect(status).toBe(0);
    const files = readdirSync(folder);
    expect(files).toHaveLength(2);
    for (const file of files)
      expect(infoOf(join(folder, file))).toMatchObject({
        argv: [process.execPath, script],
        execArgv: [],
      });
  });

  test('run keeps nothing of code, and all of the command line otherwise', () => {
    const [bare, whole] = [inFolder('code.mdc'), inFolder('whole.mdc')];
    const program = ['-e', `'${secret}'`, 'other'];
    captured.call('run', '--no-command-line', '-o', bare, ...program);
    captured.call('run', '-o', whole, ...program);
    expect(infoOf(bare)).toMatchObject({ argv: [process.execPath], execArgv: [] });
    expect(infoOf(whole)).toMatchObject({
      argv: [process.execPath, 'other'],
      execArgv: expect.arrayContaining([`'${secret}'`]),
    });
  });

  test('attach keeps the name of the program alone', async () => {
    const waiting = inFolder('waiting.cjs');
    writeFileSync(waiting, 'setInterval(() => {}, 50); console.log(1);');
    const child = start(['--inspect-port=0', waiting, secret]);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    const to = inFolder('attached.mdc');
    const order = ['attach', `${child.pid}`, '-o', to, '--no-command-line', '--yes-open-inspector'];
    expect(captured.call(...order).status).toBe(0);
    expect(infoOf(to)).toMatchObject({ argv: [process.execPath, waiting], execArgv: [] });
  });

  test('watch keeps the name of the command alone', () => {
    const [log, report] = [inFolder('n.jsonl'), inFolder('n.json')];
    const order = ['--no-command-line', '--out', log, '--json', report, '--', 'true', 'x', secret];
    expect(captured.call('watch', ...order).status).toBe(0);
    expect(JSON.parse(readFileSync(report, 'utf8')).options.command).toEqual(['true']);
    expect(readFileSync(log, 'utf8')).not.toContain(secret);
  });

  test('a Tracker leaves the arguments out with commandLine: false', async () => {
    const to = inFolder('tracker.mdc');
    const index = new URL('../../dist/index.js', import.meta.url);
    const program = inFolder('tracker.mjs');
    writeFileSync(
      program,
      `import { Tracker } from '${index}';
       await new Tracker('${to}', { commandLine: false }).stop();`,
    );
    await once(start([program, secret]), 'exit');
    expect(infoOf(to).argv).toEqual([process.execPath, program]);
  });
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child;
}
