/** Captures for the tests of commands that read them, and those commands as users call them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** One that is in the repository, of the first version of the format; its role is `golden`. */
export const golden = fileURLToPath(new URL('../fixtures/formats/version1.mdc', import.meta.url));

/** A folder of captures; `remove` belongs in afterAll. */
export class Captured {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-captured-'));

  /** Runs `code` under `memdrift run`, as a file of that name; the capture's path. */
  record(name: string, code: string, args: readonly string[] = []): string {
    const script = join(this.folder, `${name}.cjs`);
    const capture = join(this.folder, `${[name, ...args].join('-')}.mdc`);
    writeFileSync(script, code);
    const { status, stderr } = this.call('run', '-o', capture, script, ...args);
    if (status !== 0) throw new Error(stderr);
    return capture;
  }

  /** `memdrift` with these arguments, its output no terminal. */
  call(...args: readonly string[]) {
    return spawnSync(process.execPath, [cli, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
  }

  /** What it prints with --json. */
  json(...args: readonly string[]) {
    const { status, stdout, stderr } = this.call(...args, '--json');
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
