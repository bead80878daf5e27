/** The whole terminal for a command that is looked at: keys in, lines out, and all put back. */
import { emitKeypressEvents, type Key } from 'node:readline';

/** What a terminal gets and what takes it back: its other screen, no cursor, no wrapped lines. */
const takeOver = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const giveBack = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Signals that end a command, and the exit codes that tell so. */
const endings = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export interface Pressed extends Key {
  /** The character, where it is one that can be typed. */
  readonly text: string;
}

export interface ScreenUse {
  /** As many lines as there are rows; asked for after every key and every change of size. */
  readonly draw: (size: { readonly columns: number; readonly rows: number }) => readonly string[];
  /** False: the end. */
  readonly press: (key: Pressed) => boolean;
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
  readonly #undo: (() => void)[] = [];

  show({ draw, press }: ScreenUse): Promise<void> {
    return new Promise((resolve, reject) => {
      const redraw = (): void => {
        const { columns = 80, rows = 24 } = process.stdout;
        this.#write(draw({ columns, rows }));
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
          if (key.ctrl && key.name === 'z') return this.#suspend();
          if (press({ ...key, text: typed(text) })) redraw();
          else resolve();
        })();
      };
      this.#listen(process.stdin, 'keypress', onKey as () => void);
      this.#listen(process.stdin, 'end', resolve);
      this.#listen(process.stdout, 'resize', guarded(redraw));
      this.#listen(
        process,
        'SIGCONT',
        guarded(() => {
          this.#open();
          redraw();
        }),
      );
      this.#listen(process, 'exit', () => this.#restore());
      for (const [signal, code] of Object.entries(endings)) {
        this.#listen(process, signal, () => process.exit(code));
      }
      emitKeypressEvents(process.stdin);
      guarded(() => {
        this.#open();
        redraw();
      })();
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
    process.stdout.write(takeOver);
  }

  #restore(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(giveBack);
    process.stdin.setRawMode(false);
  }

  /** Ctrl-Z comes as a key, since signals of keys are off. */
  #suspend(): void {
    this.#restore();
    process.kill(process.pid, 'SIGTSTP');
  }

  #write(lines: readonly string[]): void {
    // Erased before, not after: behind a full line the cursor is still on its last character.
    process.stdout.write(`\x1b[H${lines.map((line) => `\x1b[K${line}`).join('\r\n')}`);
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
