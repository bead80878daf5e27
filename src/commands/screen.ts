/** The whole terminal for a command that is looked at: keys in, lines out, and all put back. */
import { emitKeypressEvents, type Key } from 'node:readline';

/** What a terminal gets and what takes it back: its other screen, no cursor, no wrapped lines. */
const takeOver = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const giveBack = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Signals that end a command, and the exit codes that tell so. */
const endings = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;

/** A stop that has not come by then does not come: nobody could let an orphan go on. */
const stopMs = 200;

export interface Pressed extends Key {
  /** The character, where it is one that can be typed. */
  readonly text: string;
}

export interface ScreenUse {
  /** As many lines as there are rows; asked for after every key and every change of size. */
  readonly draw: (size: { readonly columns: number; readonly rows: number }) => readonly string[];
  /** False: the end. */
  readonly press: (key: Pressed) => boolean;
  /** Called once it is shown, with what draws it anew when something else than a key changed it. */
  readonly start?: (redraw: () => void) => void;
}

/** True if somebody can look and press keys. */
export function hasScreen(): boolean {
  const isTerminal = process.stdout.isTTY === true && process.stdin.isTTY === true;
  return isTerminal && process.env.TERM !== 'dumb';
}

/**
 * Shows what `draw` says until `press` says that it is the end. However that comes, by an error or
 * a signal too, the terminal is as it was.
 * @throws what `draw` and `press` throw.
 */
export async function useScreen(use: ScreenUse): Promise<void> {
  const screen = new Screen();
  try {
    await screen.show(use);
  } finally {
    screen.close();
  }
}

class Screen {
  #isOpen = false;
  /** What is on the terminal: only lines that have changed are written. */
  #lines: readonly string[] = [];
  readonly #undo: (() => void)[] = [];

  show({ draw, press, start }: ScreenUse): Promise<void> {
    return new Promise((resolve, reject) => {
      const redraw = (): void => {
        if (!this.#isOpen) return;
        const { columns, rows } = process.stdout;
        // A terminal that nobody has told its size says 0.
        this.#write(draw({ columns: columns || 80, rows: rows || 24 }));
      };
      // An error in an event's listener would end the process beside the promise.
      const guarded = (work: () => void) => (): void => {
        try {
          work();
        } catch (error) {
          reject(error);
        }
      };
      const onKey = (text: string | undefined, key: Key): void => {
        guarded(() => {
          // It comes as a key, since signals of keys are off; the job is all who would get it.
          if (key.ctrl && key.name === 'z') process.kill(0, 'SIGTSTP');
          else if (press({ ...key, text: typed(text) })) redraw();
          else resolve();
        })();
      };
      this.#listen(process.stdin, 'keypress', onKey as () => void);
      this.#listen(process.stdin, 'end', resolve);
      const reopen = guarded(() => {
        this.#open();
        redraw();
      });
      const onResize = guarded(() => {
        this.#lines = [];
        redraw();
      });
      this.#listen(process.stdout, 'resize', onResize);
      this.#listen(process, 'SIGCONT', reopen);
      const onStop = (): void => this.#suspend(onStop, reopen);
      this.#listen(process, 'SIGTSTP', onStop);
      this.#listen(process, 'exit', () => this.#restore());
      for (const [signal, code] of Object.entries(endings)) {
        this.#listen(process, signal, () => process.exit(code));
      }
      emitKeypressEvents(process.stdin);
      reopen();
      start?.(guarded(redraw));
    });
  }

  close(): void {
    this.#restore();
    for (const undo of this.#undo.splice(0)) undo();
    // Nobody reads any more, so that the process can end.
    process.stdin.pause();
  }

  #open(): void {
    this.#isOpen = true;
    process.stdin.setRawMode(true);
    process.stdin.resume();
    this.#lines = [];
    process.stdout.write(takeOver);
  }

  #restore(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(giveBack);
    process.stdin.setRawMode(false);
  }

  /** Stops as it would have without us, so that the shell is told, and goes on from there. */
  #suspend(onStop: () => void, reopen: () => void): void {
    this.#restore();
    process.off('SIGTSTP', onStop);
    process.kill(process.pid, 'SIGTSTP');
    const timer = setTimeout(() => {
      process.on('SIGTSTP', onStop);
      if (!this.#isOpen) reopen();
    }, stopMs);
    this.#undo.push(() => clearTimeout(timer));
  }

  #write(lines: readonly string[]): void {
    let text = this.#lines.length > lines.length ? '\x1b[H\x1b[J' : '';
    const before = text === '' ? this.#lines : [];
    lines.forEach((line, i) => {
      // Erased before, not after: behind a full line the cursor is still on its last character.
      if (line !== before[i]) text += `\x1b[${i + 1};1H\x1b[K${line}`;
    });
    this.#lines = lines;
    if (text !== '') process.stdout.write(text);
  }

  #listen(on: NodeJS.EventEmitter, name: string, listener: (...args: never[]) => void): void {
    const plain = listener as (...args: unknown[]) => void;
    on.on(name, plain);
    this.#undo.push(() => on.off(name, plain));
  }
}

function typed(text: string | undefined): string {
  return text !== undefined && /^[^\p{C}]$/u.test(text) ? text : '';
}
