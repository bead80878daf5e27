import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Child processes of a test that speak in lines; `endAll` belongs in afterEach. */
export class Children {
  readonly #all: ChildProcess[] = [];

  /** A Node process that runs `script`, once it has said its first line. */
  async node(script: string): Promise<Child> {
    return this.run(process.execPath, ['-e', script]);
  }

  async run(command: string, args: readonly string[]): Promise<Child> {
    const child = new Child(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    this.#all.push(child.process);
    child.first = await child.line();
    return child;
  }

  async endAll(): Promise<void> {
    for (const child of this.#all.splice(0)) await end(child);
  }
}

export class Child {
  readonly process: ChildProcess;
  /** The first line that it said. */
  first = '';
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.process = child;
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    this.#lines = reader[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The next line that it says. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done) {
      const how = await endingOf(this.process);
      throw new Error(`the child ended (${how}) without saying what was expected`);
    }
    return next.value;
  }

  /** Says a line to it and waits for its answer. */
  async ask(text: string): Promise<string> {
    this.process.stdin?.write(`${text}\n`);
    return this.line();
  }

  async end(): Promise<void> {
    await end(this.process);
  }
}

/** Returns the exit code or the signal of a child that has closed its output. */
async function endingOf(child: ChildProcess): Promise<string> {
  const isThere = child.exitCode === null && child.signalCode === null;
  const [code, signal] = isThere ? await once(child, 'exit') : [child.exitCode, child.signalCode];
  return String(signal ?? code);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Says that it is there and stays. */
export const idleScript = "console.log('ready'); setInterval(() => {}, 1000)";
