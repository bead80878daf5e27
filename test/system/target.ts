import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiles target.c once and runs it, in a folder of its own; stopped processes do not change. */
export class Targets {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-targets-'));
  readonly #program = join(this.folder, 'target');
  readonly #processes: ChildProcess[] = [];

  constructor() {
    const source = fileURLToPath(new URL('target.c', import.meta.url));
    // Static, or Pss of the C library's pages would change whenever any process starts or ends.
    execFileSync(process.env.CC ?? 'cc', ['-O1', '-static', '-o', this.#program, source]);
  }

  /** The pid of a new target that has stopped itself. */
  async start(...options: string[]): Promise<number> {
    const child = spawn(this.#program, [this.folder, ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#processes.push(child);
    const [line] = (await Promise.race([
      once(child.stdout as NonNullable<typeof child.stdout>, 'data'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the target ended with ${code} before it was ready`);
      }),
    ])) as [Buffer];
    const pid = Number(line.toString());
    const isStopped = () => / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    while (!isStopped()) await new Promise((resolve) => setTimeout(resolve, 5));
    return pid;
  }

  /** Ends all targets and takes their files away. */
  async end(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.folder, { recursive: true });
  }
}
