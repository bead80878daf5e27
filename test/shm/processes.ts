/** Other processes for tests of shared memory: each runs a piece of code on the built package. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const packageUrl = new URL('../../dist/index.js', import.meta.url).href;

/** A name that no other test uses. */
export function freshName(what: string): string {
  freshName.count++;
  return `test-${what}-${process.pid}-${freshName.count}`;
}
freshName.count = 0;

/** What is in /dev/shm under a name that begins so. */
export function leftOf(name: string): string[] {
  return readdirSync('/dev/shm').filter((file) => file.startsWith(`memdrift.${name}`));
}

export class OtherProcess {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: (() => void) | null = null;

  /** `code` sees the package's exports as `m`, and says things with console.log. */
  constructor(code: string) {
    const source = `import * as m from ${JSON.stringify(packageUrl)};\n${code}`;
    this.child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    });
    let rest = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#wake?.();
    });
    this.child.once('exit', () => this.#wake?.());
  }

  /** The next line that it printed. */
  async line(): Promise<string> {
    while (this.#lines.length === 0) {
      if (this.child.exitCode !== null) throw new Error('the other process said nothing more');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift() ?? '';
  }

  /** Lets it go on from `await go()`, which reads one line. */
  go(): void {
    this.child.stdin?.write('\n');
  }

  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      await once(this.child, 'exit');
    }
    return this.child.exitCode;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended();
  }
}

/** For the code of an OtherProcess: `await go()` waits for OtherProcess.go(). */
export const waiting = `
import { once } from 'node:events';
const go = () => once(process.stdin, 'data');
`;
