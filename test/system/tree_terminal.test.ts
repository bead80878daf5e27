/** `memdrift tree` in a real terminal, which tmux has: keys, size, and how it is left. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Captured, cli } from '../commands/captured.ts';
import { Terminal } from './terminal.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const capture = captured.record(
  'shop',
  `function fill(bytes) { return Buffer.alloc(bytes, 1); }
   function shelf() { return fill(7_000_001); }
   function till() { return fill(2_000_003); }
   function open() { return [shelf(), till()]; }
   globalThis.kept = open();`,
);
const leaks = [capture, '--leaks', '--kind', 'buffer', '--hide-internals'];

/** The number of the process that runs `memdrift tree` in there. */
function pidOfTree(): number {
  const isTree = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`tree\0${capture}`);
    } catch {
      return false; // it has ended meanwhile
    }
  };
  return Number(readdirSync('/proc').find((name) => /^\d+$/.test(name) && isTree(name)));
}

const untouched = '0 1 1 icanon echo isig';

describe('on a terminal', () => {
  let terminal: Terminal;
  beforeEach(async () => {
    terminal = new Terminal({ columns: 110, rows: 20 });
    await terminal.shows(/^[#$]$/m);
    terminal.type(`echo be"fore"; '${process.execPath}' '${cli}' tree ${leaks.join(' ')}`);
    terminal.press('Enter');
    await terminal.shows(/q quit/);
  });
  afterEach(() => terminal.close());

  /** Functions in their order on the screen, the open ones with ▾. */
  function functions(text: string): readonly string[] {
    return text
      .split('\n')
      .slice(2, -2)
      .map((line) => line.slice(29).replace(/ {2}\/.*/, ''))
      .filter((line) => line !== '');
  }

  async function expectRestored(): Promise<void> {
    await terminal.shows(/^before\n(?:.*\n)*[#$]$/m);
    terminal.type('echo af"ter"');
    terminal.press('Enter');
    expect(await terminal.shows(/^after$/m)).toContain('before');
    expect(terminal.state).toBe(untouched);
  }

  test('keys open, close and turn the tree, and q leaves it', async () => {
    const [first] = terminal.text.split('\n');
    expect(first).toMatch(/^9\.\d\d MB live at the end, outermost functions first$/);
    const begin = ['▾ (anonymous)', '  ▾ open', '    ▾ shelf', '        fill', '    ▸ till'];
    expect(functions(terminal.text).slice(0, 5)).toEqual(begin);
    terminal.press('Down', 'Left');
    expect(functions(await terminal.shows(/▸ open/))[1]).toBe('  ▸ open');
    terminal.press('e');
    expect(functions(await terminal.shows(/▾ till/)).slice(1, 6)).toEqual([
      '  ▾ open',
      '    ▾ shelf',
      '        fill',
      '    ▾ till',
      '        fill',
    ]);
    terminal.press('i');
    expect(await terminal.shows(/innermost functions first/)).toMatch(/▾ fill/);
    terminal.press('u');
    await terminal.shows(/AllocateUninitialized|ArrayBufferAllocator/);
    terminal.press('q');
    await expectRestored();
  });

  test('/ searches, and n goes on', async () => {
    terminal.press('/');
    await terminal.shows(/^\/$/m);
    terminal.type('TILLE');
    terminal.press('BSpace');
    await terminal.shows(/^\/TILL$/m);
    terminal.press('Enter');
    // Enter on what was found: it is selected.
    terminal.press('Enter');
    await terminal.shows(/▾ till/);
    terminal.press('/');
    terminal.type('nobody');
    terminal.press('Enter');
    await terminal.shows(/^no function has nobody$/m);
    terminal.press('C-c');
    await expectRestored();
  });

  test('stays within the terminal as it changes', async () => {
    terminal.resize(50, 7);
    const small = await terminal.shows(/^.{49}…$/m);
    expect(small.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(7);
    expect(small).toMatch(/^9\.\d\d MB live/);
    terminal.resize(110, 30);
    await terminal.shows(/q quit\n$/);
    terminal.press('q');
    await expectRestored();
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('%s restores it', async (signal) => {
    process.kill(pidOfTree(), signal);
    await expectRestored();
  });

  test('an error restores it, and is told', async () => {
    terminal.press('q');
    await terminal.shows(/^before\n(?:.*\n)*[#$]$/m);
    const script = join(captured.folder, 'fails.mjs');
    const screen = new URL('../../dist/commands/screen.js', import.meta.url);
    const press = `press() { throw new Error('no such ' + 'key'); }`;
    writeFileSync(
      script,
      `import { useScreen } from '${screen}';
       await useScreen({ draw: () => ['a screen'], ${press} }).catch((error) =>
         console.log(error.message));`,
    );
    terminal.type(`'${process.execPath}' '${script}'`);
    terminal.press('Enter');
    await terminal.shows(/^a screen$/m);
    terminal.press('x');
    await terminal.shows(/^no such key$/m);
    await expectRestored();
  });

  test('Ctrl-Z gives it to the shell, and fg takes it again', async () => {
    terminal.press('C-z');
    await terminal.shows(/^[#$]$/m);
    expect(terminal.state).toBe(untouched);
    terminal.type('fg');
    terminal.press('Enter');
    await terminal.shows(/q quit/);
    terminal.press('Down', 'Enter');
    await terminal.shows(/▸ open/);
    terminal.press('q');
    await expectRestored();
  });
});
