/** The two programs as processes, as users start them: dist/cli.js and dist/main.js. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberFlags, spellingsOf, textFlags } from '../src/experiment/flags.ts';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
let cwd: string;

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'memdrift-cli-'));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(file: 'cli.js' | 'main.js', args: readonly string[]): ChildProcess {
  const env = { ...process.env, FORCE_COLOR: '1' };
  return spawn(process.execPath, [join(dist, file), ...args], { cwd, env });
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

function run(file: 'cli.js' | 'main.js', args: readonly string[]): Promise<Ended> {
  return ended(start(file, args));
}

const small = ['--clients', '2', '--rounds', '2', '--array_size', '65536', '--work-ms', '10'];

describe('help', () => {
  it('of the experiment has every flag with its default, in 100 columns', async () => {
    for (const [file, args] of [
      ['main.js', ['--help']],
      ['cli.js', ['experiment', '--help']],
    ] as const) {
      const { code, stdout, stderr } = await run(file, args);
      expect([code, stderr]).toEqual([0, '']);
      for (const flag of [...numberFlags, ...textFlags]) {
        const prefix = 'negated' in flag ? '--no-' : '--';
        expect(stdout).toContain(`${prefix}${flag.name}`);
        expect(stdout).toContain(`${prefix}${flag.alias ?? flag.name}`);
      }
      expect(stdout).toMatch(/--array_size, --array-size <bytes> .*\(default 100000000 bytes\)/);
      for (const { group } of [...numberFlags, ...textFlags]) {
        expect(stdout).toContain(`\n${group}:\n`);
      }
      expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
    }
  });

  it('of the command names its subcommands; without one it is an error', async () => {
    const help = await run('cli.js', ['--help']);
    for (const name of ['experiment', 'ps', 'store']) expect(help.stdout).toMatch(`\n  ${name} `);
    const nothing = await run('cli.js', []);
    expect(nothing.code).toBe(2);
    expect(nothing.stderr).toContain('Usage: memdrift');
  });
});

describe('wrong usage is one message, exit code 2 and nothing started', () => {
  it.each([
    [
      ['--clients', '0'],
      /^memdrift: --clients 0 is out of range; give a whole number from 1 to 1000/,
    ],
    [['--clients', '-1'], /^memdrift: --clients -1 is out of range/],
    [['--clients=2000'], /^memdrift: --clients 2000 is out of range/],
    [['--rounds', 'x'], /^memdrift: --rounds x is not a whole number/],
    [
      ['--array-size', '9', '--obj_store_mem', '8'],
      /^memdrift: --array-size 9 is larger than the st/,
    ],
    [['--ray_tmp', 'tmp/ray'], /^memdrift: --tmp-dir tmp\/ray is relative/],
    [['--mray_dir', dist], /^memdrift: --capture-dir .* is not empty/],
    [['--json', 'no/such/folder/file'], /^memdrift: --json .* cannot be written/],
    [['--sample-ms', '5'], /^memdrift: --sample-ms 5 is out of range; .* from 10 to 60000 ms/],
    [['--rounds'], /^memdrift: option '--rounds <n>' argument missing/],
    [['--round', '2'], /^memdrift: unknown option '--round'/],
    [['twenty'], /^memdrift: too many arguments/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await run('main.js', args);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(existsSync(join(cwd, 'tmp'))).toBe(false);
  });
});

describe('a run', () => {
  it('prints its report and writes it as JSON, says nothing else and exits with 0', async () => {
    const json = join(cwd, 'report.json');
    const { code, stdout, stderr } = await run('main.js', [...small, '--json', json]);
    expect([code, stderr]).toEqual([0, '']);
    const report = JSON.parse(readFileSync(json, 'utf8'));
    expect(report).toMatchObject({ schemaVersion: 1, completed: true, error: null });
    expect(report.options).toMatchObject({ clients: 2, arraySizeBytes: 65536 });
    expect(stdout).toContain('What is really used, each page once');
    expect(stdout).not.toContain('NOT COMPLETED');
    // Neither colours nor a progress line where stdout is no terminal.
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('\r');
  });

  it.each(numberFlags.flatMap(spellingsOf))('takes the spelling --%s', async (spelling) => {
    const { code, stderr } = await run('main.js', [`--${spelling}`, '?']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^memdrift: --[a-z-]+ \? is not a/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ended by %s still reports, and exits with %i', async (signal, expected) => {
    const json = join(cwd, `${signal}.json`);
    const tmpDir = join(cwd, `tmp-of-${signal}`);
    const long = ['--rounds', '1000', '--work-ms', '100', '--json', json, '--tmp-dir', tmpDir];
    const child = start('main.js', [...small, ...long]);
    const end = ended(child);
    await untilWritten(join(tmpDir, 'series.jsonl'), child);
    child.kill(signal);
    const { code, stdout, stderr } = await end;
    expect([code, stderr]).toEqual([expected, '']);
    expect(stdout).toMatch(new RegExp(`^NOT COMPLETED: ${signal}`));
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      completed: false,
      error: { code: 'ERR_INTERRUPTED' },
    });
  });

  it('whose reader has gone is no crash', async () => {
    const child = start('main.js', small);
    const end = ended(child);
    child.stdout?.destroy();
    const { code, stderr } = await end;
    expect([code, stderr]).toEqual([0, '']);
  });
});

/** The series' first line means that the run is going. */
async function untilWritten(path: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    if (existsSync(path) && readFileSync(path).length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
