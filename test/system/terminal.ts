/** A terminal with a shell in it, by tmux: what is on its screen, keys, and its size. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'memdrift-terminal-'));
  // A server of its own, so that nobody's session and configuration is touched.
  readonly #server = ['-S', join(this.#folder, 'socket'), '-f', '/dev/null'];

  constructor({ columns, rows }: { readonly columns: number; readonly rows: number }) {
    const size = ['-x', String(columns), '-y', String(rows)];
    const env = { ...process.env, TERM: 'xterm-256color' };
    const args = ['new-session', '-d', ...size, 'sh'];
    execFileSync('tmux', [...this.#server, ...args], { env });
  }

  /** What is on the screen, a line a row, without what is empty at the end of lines. */
  get text(): string {
    return this.#tmux('capture-pane', '-p');
  }

  /** By tmux's names: Down, Enter, C-c. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** The screen once it shows `expected`; a slow machine has some time for it. */
  async shows(expected: RegExp): Promise<string> {
    const end = Date.now() + 15_000;
    for (;;) {
      const { text } = this;
      if (expected.test(text)) return text;
      if (Date.now() > end) throw new Error(`no ${expected} on\n${text}`);
      await sleep(50);
    }
  }

  /** As programs find it: the usual screen, a cursor, lines that wrap, and the line's own modes. */
  get state(): string {
    const flags = '#{alternate_on} #{cursor_flag} #{wrap_flag} #{pane_tty}';
    const [alternate, cursor, wraps, tty = ''] = this.#tmux('display', '-p', flags)
      .trim()
      .split(' ');
    const modes = execFileSync('stty', ['-F', tty, '-a'], { encoding: 'utf8' });
    const has = (mode: string): string =>
      new RegExp(`-${mode}\\b`).test(modes) ? `-${mode}` : mode;
    return [alternate, cursor, wraps, ...['icanon', 'echo', 'isig'].map(has)].join(' ');
  }

  close(): void {
    spawnSync('tmux', [...this.#server, 'kill-server']);
    // tmux leaves its socket behind.
    rmSync(this.#folder, { recursive: true });
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', [...this.#server, ...args], { encoding: 'utf8' });
  }
}
