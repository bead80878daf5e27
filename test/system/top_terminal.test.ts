/** `memdrift top` in a real terminal, which tmux has: what is looked at, keys, and how it ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCounters } from '../../src/proc/counters.ts';
import { type Child, Children } from '../children.ts';
import { Terminal } from './terminal.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const children = new Children();

/** Holds 40 MB, has a name with control characters, and starts one that has a wide name. */
const parentScript = `
  const { spawn } = require('node:child_process');
  globalThis.held = Buffer.alloc(40e6, 1);
  require('node:fs').writeFileSync('/proc/self/comm', 'par\\x1b[2Jent');
  const child = spawn(process.execPath, ['-e', \`
    require('node:fs').writeFileSync('/proc/self/comm', '作業');
    console.log(1);
    process.stdin.resume()\`], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.once('data', () => console.log(child.pid));
  process.stdin.on('data', () => { globalThis.more = Buffer.alloc(300e6, 1); console.log(1); });
`;

const untouched = '0 1 1 icanon echo isig';

/** The number of the process that runs \`memdrift top\` in there. */
function pidOfTop(target: number): number {
  const isTop = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${cli}\0top\0${target}`);
    } catch {
      return false; // it has ended meanwhile
    }
  };
  return Number(readdirSync('/proc').find((name) => /^\d+$/.test(name) && isTop(name)));
}

describe('on a terminal', () => {
  let terminal: Terminal;
  let target: Child;

  beforeEach(async () => {
    target = await children.node(parentScript);
    terminal = new Terminal({ columns: 100, rows: 24 });
    await terminal.shows(/^[#$]$/m);
    terminal.type(`echo be"fore"; '${process.execPath}' '${cli}' top ${target.pid} --interval 0.1`);
    terminal.press('Enter');
    await terminal.shows(/^2 processes of the tree/);
  });
  afterEach(async () => {
    terminal.close();
    await children.endAll();
  });

  /** RSS of the parent in MB, as the screen has it. */
  const rssOf = (text: string): number =>
    Number(new RegExp(`^ *${target.pid} +([\\d.]+) `, 'm').exec(text)?.[1]);

  async function expectRestored(): Promise<void> {
    await terminal.shows(/^before\n(?:.*\n)*[#$]$/m);
    terminal.type('echo af"ter"');
    terminal.press('Enter');
    expect(await terminal.shows(/^after$/m)).toContain('before');
    expect(terminal.state).toBe(untouched);
  }

  test('shows what processes have as it changes, by names that cannot harm', async () => {
    const text = await terminal.shows(/█.* par\?\[2Jent$/m);
    expect(text).toMatch(/^ *PID +RSS MB +PSS +USS +as of +█anon ▒file ░shmem +name$/m);
    expect(text).toMatch(/ 作業$/m);
    const before = rssOf(text);
    const { rssBytes } = readCounters(target.pid);
    expect(Math.abs(before - (rssBytes as number) / 1e6)).toBeLessThan(5);
    await target.ask('more');
    await terminal.shows(new RegExp(`^ *${target.pid} +[3-9]\\d\\d\\.`, 'm'));
    terminal.press('q');
    await expectRestored();
  });

  test('keys choose what is shown and how', async () => {
    terminal.press('t');
    await terminal.shows(/ └─作業$/m);
    terminal.press('c');
    await terminal.shows(/^ *PID.* command$/m);
    terminal.press('/');
    terminal.type('par?');
    terminal.press('BSpace', 'Enter');
    expect(await terminal.shows(/ 1 with "par"/)).not.toContain('作業');
    terminal.press('p', 'R', 'h');
    expect(await terminal.shows(/by PSS, least first/)).toContain('children below their parents');
    terminal.press('Space');
    const paused = await terminal.shows(new RegExp(`PAUSED(?:.*\\n)*.* ${target.pid} `));
    await target.ask('more');
    terminal.press('r');
    expect(rssOf(await terminal.shows(/PAUSED.*by RSS/))).toBe(rssOf(paused));
    terminal.press('Space');
    await terminal.shows(new RegExp(`^ *${target.pid} +[3-9]\\d\\d\\.`, 'm'));
    terminal.press('C-c');
    await expectRestored();
  });

  test('stays within the terminal as it changes', async () => {
    terminal.resize(40, 5);
    const small = await terminal.shows(/^ *PID +RSS MB .*name$/m);
    expect(small.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(5);
    terminal.resize(130, 40);
    await terminal.shows(/^footprint .* each page once, estimated$/m);
    terminal.press('q');
    await expectRestored();
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const)(
    '%s restores it',
    async (signal) => {
      process.kill(pidOfTop(target.pid), signal);
      await expectRestored();
    },
  );

  test.each([
    ['Ctrl-Z', (): void => terminal.press('C-z')],
    ['SIGTSTP', (): boolean => process.kill(pidOfTop(target.pid), 'SIGTSTP')],
  ] as const)('%s gives it to the shell, and fg takes it again', async (_, stop) => {
    stop();
    await terminal.shows(/^before\n(?:.*\n)*[#$]$/m);
    expect(terminal.state).toBe(untouched);
    terminal.type('fg');
    terminal.press('Enter');
    await terminal.shows(/^2 processes of the tree/);
    terminal.press('t');
    await terminal.shows(/ └─作業$/m);
    terminal.press('q');
    await expectRestored();
  });

  test('goes on when what it shows has ended', async () => {
    await target.end();
    await terminal.shows(/^0 processes of the tree/);
    terminal.press('q');
    await expectRestored();
  });
});
