/** A launcher at a terminal, as the job of a shell. Needs python3, for the terminal. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/cli.js');
const fixtures = join(root, 'test/fixtures/launch');
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-job-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Way = 'plain' | 'run' | 'watch';
const ways: readonly Way[] = ['plain', 'run', 'watch'];
const words = {
  plain: [process.execPath],
  run: [process.execPath, cli, 'run'],
  watch: [process.execPath, cli, 'watch', '--', process.execPath],
};

const running = new Set<Job>();
afterEach(() => {
  for (const job of running) job.kill();
  running.clear();
});

class Job {
  readonly #shell: ChildProcessWithoutNullStreams;
  #output = '';
  #seen = 0;

  constructor(way: Way, ...program: string[]) {
    this.#shell = spawn('python3', [join(fixtures, 'job.py'), ...words[way], ...program], {
      cwd: folder,
    });
    this.#shell.stdout.on('data', (text) => {
      this.#output += text;
    });
    running.add(this);
  }

  order(line: string): void {
    this.#shell.stdin.write(`${line}\n`);
  }

  /** Returns the next match of `pattern`, and skips the output before it. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const untilMs = Date.now() + 20_000;
    for (;;) {
      const found = pattern.exec(this.#output.slice(this.#seen));
      if (found) {
        this.#seen += found.index + found[0].length;
        return found;
      }
      if (Date.now() > untilMs) throw new Error(`no ${pattern} in ${this.#output}`);
      await sleep(5);
    }
  }

  async ended(): Promise<void> {
    await once(this.#shell, 'exit');
    running.delete(this);
  }

  /** Closes the terminal, which ends its programs by SIGHUP. */
  kill(): void {
    this.#shell.kill('SIGKILL');
  }
}

const stateOf = (pid: number): string | undefined =>
  /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];

let files = 0;

describe.each(ways)('%s', (way) => {
  test('a signal of the terminal reaches the program once', async () => {
    const end = join(folder, `end-${files++}`);
    const job = new Job(way, join(fixtures, 'counts_signals.cjs'), end);
    await job.says(/ready/);
    const typed = {
      SIGINT: 'type 03',
      SIGQUIT: 'type 1c',
      SIGTSTP: 'type 1a',
      SIGWINCH: 'size 33',
    };
    for (const [signal, order] of Object.entries(typed)) {
      job.order(order);
      await job.says(new RegExp(`got ${signal}\r`));
      await sleep(200);
    }
    writeFileSync(end, '');
    const [, counts = ''] = await job.says(/counts (.*)\r/);
    const once = Object.fromEntries(Object.keys(typed).map((one) => [one, 1]));
    expect(JSON.parse(counts)).toEqual(once);
    await job.says(/@exit 7\n/);
    await job.ended();
  });

  test('Ctrl-Z stops the job, and fg and bg continue it', async () => {
    const code = `process.stdout.write('ready ' + process.pid + '\\n');
      setInterval(() => process.stdout.write('.'), 20)`;
    const job = new Job(way, '-e', code);
    const program = Number((await job.says(/ready (\d+)/))[1]);
    for (const orders of [['fg'], ['bg', 'fg'], ['fg']]) {
      job.order('type 1a');
      await job.says(/@stopped\n/);
      expect(stateOf(program)).toBe('T');
      for (const order of orders) {
        job.order(order);
        await job.says(/@continued\n/);
        await job.says(/\./);
      }
    }
    job.order('type 03');
    await job.says(/@signal 2 0\n/);
    await job.ended();
  });

  test('the end of the terminal ends the program', async () => {
    const job = new Job(
      way,
      '-e',
      `setInterval(String, 1e3); process.stdout.write('ready ' + process.pid + '\\n')`,
    );
    const program = Number((await job.says(/ready (\d+)/))[1]);
    job.kill();
    await job.ended();
    await expect.poll(() => isThere(program), { timeout: 20_000 }).toBe(false);
  });
});

function isThere(pid: number): boolean {
  try {
    return stateOf(pid) !== 'Z';
  } catch {
    return false;
  }
}
