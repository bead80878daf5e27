/**
 * A launched program gets each signal once, keeps its descriptors, and its end is the launcher's.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/cli.js');
const countsSignals = join(root, 'test/fixtures/launch/counts_signals.cjs');
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-launched-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const newFile = (): string => join(folder, `file-${files++}`);

type Way = 'run' | 'watch';
const ways: readonly Way[] = ['run', 'watch'];

function wordsOf(way: Way, program: readonly string[]): string[] {
  return way === 'run'
    ? [cli, 'run', ...program]
    : [cli, 'watch', '--', process.execPath, ...program];
}

/** Starts `program` in its own process group. */
function launch(way: Way, ...program: string[]): Launch {
  const child = spawn(process.execPath, wordsOf(way, program), {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Launch(child);
}

class Launch {
  readonly pid: number;
  readonly ended: Promise<unknown[]>;
  #output = '';

  constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.pid = child.pid as number;
    this.ended = once(child satisfies ChildProcess, 'exit');
    child.stdout.on('data', (text) => {
      this.#output += text;
    });
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const untilMs = Date.now() + 60_000;
    for (;;) {
      const found = pattern.exec(this.#output);
      if (found) return found;
      if (Date.now() > untilMs) throw new Error(`no ${pattern} in ${this.#output}`);
      await sleep(5);
    }
  }

  /** Process id of the program itself. */
  async program(): Promise<number> {
    return Number((await this.says(/ready (\d+)/))[1]);
  }
}

function stateOf(pid: number): string | null {
  try {
    return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** Waits until the process is in one of `states`; `null` means that it has ended. */
async function comesTo(pid: number, ...states: readonly (string | null)[]): Promise<void> {
  const untilMs = Date.now() + 60_000;
  while (!states.includes(stateOf(pid))) {
    if (Date.now() > untilMs) throw new Error(`process ${pid} is ${stateOf(pid)}, not ${states}`);
    await sleep(5);
  }
}

/** Returns the processes of a group other than ours, oldest first. */
function membersOf(group: number): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,pgid='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, pgid]) => pgid === group)
    .map(([pid]) => pid as number)
    .sort((a, b) => a - b);
}

const sent = {
  'the launcher alone': (pid: number, signal: NodeJS.Signals) => process.kill(pid, signal),
  'the process group': (pid: number, signal: NodeJS.Signals) => process.kill(-pid, signal),
  'each process, as service managers do': (pid: number, signal: NodeJS.Signals) => {
    for (const member of membersOf(pid)) process.kill(member, signal);
  },
};
const signals = 'INT TERM HUP QUIT USR1 USR2 WINCH TSTP CONT'.split(' ').map((one) => `SIG${one}`);

describe.each(ways)('memdrift %s', (way) => {
  test.each(Object.entries(sent))('delivers signals once that are sent to %s', async (_, send) => {
    const end = newFile();
    const launched = launch(way, countsSignals, end);
    await launched.program();
    for (const signal of signals) {
      send(launched.pid, signal as NodeJS.Signals);
      await launched.says(new RegExp(`got ${signal}\n`));
      // A second delivery would come within the launcher's 50 ms.
      await sleep(200);
    }
    writeFileSync(end, '');
    const [, counts = ''] = await launched.says(/counts (.*)\n/);
    expect(JSON.parse(counts)).toEqual(Object.fromEntries(signals.map((one) => [one, 1])));
    expect(await launched.ended).toEqual([7, null]);
  });

  test('waits for a program that handles SIGTERM slowly', async () => {
    const code = `
      process.on('SIGTERM', () => setTimeout(() => process.exit(5), 1500));
      setInterval(String, 1e3); console.log('ready', process.pid);`;
    const launched = launch(way, '-e', code);
    await launched.program();
    process.kill(launched.pid, 'SIGTERM');
    expect(await launched.ended).toEqual([5, null]);
  });

  test.each(['SIGTERM', 'SIGKILL', 'SIGABRT'] as const)(
    'ends by %s as the program',
    async (signal) => {
      const code = `process.kill(process.pid, '${signal}'); setInterval(String, 1e3)`;
      expect(await launch(way, '-e', code).ended).toEqual([null, signal]);
    },
  );

  test('ends the program when it is killed itself', async () => {
    const code = `setInterval(String, 1e3); console.log('ready', process.pid)`;
    const launched = launch(way, '-e', code);
    const program = await launched.program();
    process.kill(launched.pid, 'SIGKILL');
    await comesTo(program, null, 'Z');
    expect(await launched.ended).toEqual([null, 'SIGKILL']);
    await expect.poll(() => membersOf(launched.pid), { timeout: 20_000 }).toEqual([]);
  });

  test('leaves no process behind when timeout(1) ends it', async () => {
    const end = newFile();
    const words = ['-k', '60', '3', process.execPath, ...wordsOf(way, [countsSignals, end])];
    const child = spawn('timeout', words, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    const launched = new Launch(child);
    await launched.says(/got SIGTERM\n/);
    await sleep(200);
    writeFileSync(end, '');
    const [, counts = ''] = await launched.says(/counts (.*)\n/);
    // timeout(1) signals its process and then its group: an untracked program has one or two.
    expect([1, 2]).toContain(JSON.parse(counts).SIGTERM);
    expect(await launched.ended).toEqual([124, null]);
    expect(membersOf(launched.pid)).toEqual([]);
  });
});

describe('memdrift run', () => {
  /** Runs a program plain and under `run`; returns output and end of both. */
  function both(redirections: string, code: string): readonly object[] {
    const file = newFile();
    writeFileSync(file, code);
    return [`"$0" "$2"`, `"$0" "$1" run "$2"`].map((command) => {
      const words = ['-c', `${command} ${redirections}`, process.execPath, cli, file];
      const { status, stdout } = spawnSync('bash', words, { cwd: folder, encoding: 'utf8' });
      return { status, stdout };
    });
  }

  test.each([
    ['an open file', '3</etc/hostname', 'fs.readFileSync(3, "latin1")'],
    ['a pipe', '4< <(echo piped)', 'fs.readFileSync(4, "latin1")'],
    ['a process substitution', '<(echo piped)', 'fs.readFileSync(process.argv[2], "latin1")'],
    ['a null device', '3</dev/null', 'String(fs.readFileSync(3).length)'],
    [
      'a pipe with both ends, as make does',
      '3<> <(sleep 0) 4>/dev/fd/3 3</dev/fd/3',
      'fs.writeSync(4, "token") + " " + fs.readSync(3, Buffer.alloc(5))',
    ],
    ['a closed stdin', '<&-', 'fs.readlinkSync("/proc/self/fd/0")'],
    ['a closed stderr', '2>&-', 'fs.readlinkSync("/proc/self/fd/2")'],
    ['standard streams', '| cat', '/flags:.*/.exec(fs.readFileSync("/proc/self/fdinfo/1"))[0]'],
    [
      'a piped stderr that blocks',
      '2> >(cat >/dev/null)',
      '/flags:.*/.exec(fs.readFileSync("/proc/self/fdinfo/2"))[0]',
    ],
  ])('gives the program %s', (_, redirections, expression) => {
    const code = `const fs = require('fs'); fs.writeSync(1, ${expression})`;
    const [plain, tracked] = both(redirections, code);
    expect(plain).toMatchObject({ status: 0, stdout: expect.stringMatching(/./) });
    expect(tracked).toEqual(plain);
  });

  test('leaves a piped stderr as it is when it sweeps sockets of dead programs', () => {
    const runtime = mkdtempSync(join(tmpdir(), 'md-'));
    const sockets = join(runtime, 'memdrift');
    mkdirSync(sockets, { mode: 0o700 });
    const dead = join(sockets, 'dead.sock');
    const listen = `require('net').createServer().listen(${JSON.stringify(dead)}, () =>
      process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listen]);
    expect(existsSync(dead)).toBe(true);
    const code = `console.log(/flags:.*/.exec(
      require('fs').readFileSync('/proc/self/fdinfo/2'))[0])`;
    const flagsOf = (command: string): string =>
      spawnSync('bash', ['-c', `${command} 2> >(cat >/dev/null)`, process.execPath, cli, code], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: runtime },
      }).stdout;
    const plain = flagsOf('"$0" -e "$2"');
    expect(plain).toMatch(/flags:\s*\d+/);
    expect(flagsOf('"$0" "$1" run -e "$2"')).toBe(plain);
    expect(existsSync(dead)).toBe(false);
    rmSync(runtime, { recursive: true });
  });

  test('gives the program a closed pipe', () => {
    const code = `setTimeout(() => console.log('x'), 300); process.on('exit', (c) =>
      require('fs').writeFileSync(__filename + process.pid, String(c)));`;
    const [plain, tracked] = both('2>/dev/null | true; exit $PIPESTATUS', code);
    expect(tracked).toEqual(plain);
  });

  test('becomes the program, with its process id, parent and arguments', () => {
    const code = `console.log(process.pid, process.ppid, process.argv0, process.execArgv,
      process.argv.slice(2))`;
    const file = newFile();
    writeFileSync(file, code);
    for (const words of [
      [file, '--', '-a'],
      ['--', file, '--', '-a'],
    ]) {
      const { pid, stdout } = spawnSync(process.execPath, [cli, 'run', ...words], {
        cwd: folder,
        encoding: 'utf8',
      });
      const argv0 = JSON.stringify(process.execPath).replaceAll('"', "'");
      expect(stdout.replaceAll('"', "'")).toBe(
        `${pid} ${process.pid} ${argv0.slice(1, -1)} [] [ '--', '-a' ]\n`,
      );
    }
  });

  test('leaves the inspector to the program', () => {
    const words = ['--inspect=0', cli, 'run', '-e', 'console.log(require("inspector").url())'];
    const { stdout } = spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' });
    expect(stdout).toMatch(/^ws:/);
  });

  test('reports a program that cannot be started, with the exit code of a shell', () => {
    // Just below the most that the kernel takes for one variable: run adds its preload to it.
    const big = { NODE_OPTIONS: `--title=${'x'.repeat(131_040)}` };
    const { status, stderr } = spawnSync(process.execPath, [cli, 'run', '-e', '1'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...big },
    });
    expect([status, stderr]).toEqual([126, expect.stringContaining('argument list too long')]);
  });
});
