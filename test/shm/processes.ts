/** Other processes for tests of shared memory: each runs a piece of code on the built package. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export const packageUrl = new URL('../../dist/index.js', import.meta.url).href;

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
  constructor(code: string, nodeOptions: readonly string[] = []) {
    const source = `import * as m from ${JSON.stringify(packageUrl)};\n${code}`;
    this.child = spawn(process.execPath, [...nodeOptions, '--input-type=module', '-e', source], {
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
      if (this.#hasEnded) throw new Error('the other process said nothing more');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift() ?? '';
  }

  /** Says a line to it, such as an expression to `answering`, and waits for its next one. */
  async ask(text: string): Promise<string> {
    this.child.stdin?.write(`${text}\n`);
    return this.line();
  }

  /** Lets it go on from `await go()`, which reads one line. */
  go(): void {
    this.child.stdin?.write('\n');
  }

  async ended(): Promise<number | null> {
    if (!this.#hasEnded) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended();
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}

/** For the code of an OtherProcess: `await go()` waits for OtherProcess.go(). */
export const waiting = `
import { once } from 'node:events';
const go = () => once(process.stdin, 'data');
`;

/** For the code of an OtherProcess that is to end with an error: nothing goes to stderr. */
export const silent = `
import { closeSync, openSync } from 'node:fs';
closeSync(2);
openSync('/dev/null', 'w');
`;

/** An OtherProcess that answers each expression with its value, or the code of its error. */
export const answering = `
import { createInterface } from 'node:readline';
const codeOf = (call) => { try { call(); return 'ok'; } catch (error) { return error.code; } };
let s, view;
createInterface({ input: process.stdin }).on('line', async (line) => {
  try {
    console.log(String(await eval('(async () => (' + line + '))()')));
  } catch (error) {
    console.log(error.code ?? String(error));
  }
});
`;

/** A worker that runs `code` (m and parentPort are there), once it has said something. */
export async function startedWorker(code: string): Promise<Worker> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     import(${JSON.stringify(packageUrl)}).then(async (m) => { ${code} });`,
    { eval: true },
  );
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

/** For the code of a process that limits itself: what calls say, by their names. */
const limiting = `
  import { execFileSync } from 'node:child_process';
  import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
  const limit = (what) => execFileSync('prlimit', ['--pid', String(process.pid), what]);
  const said = {};
  const say = async (name, call) => {
    try { await call(); said[name] = 'ok'; } catch (e) { said[name] = e.code + ': ' + e.message; }
  };`;

/** What a process that limits itself says in the end; the code has `limit` and `say`. */
export async function saidBy(code: string): Promise<Record<string, string>> {
  const other = new OtherProcess(`${limiting}${code}; console.log(JSON.stringify(said));`);
  try {
    return JSON.parse(await other.line());
  } finally {
    await other.ended();
  }
}
