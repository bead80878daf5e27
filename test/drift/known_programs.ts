/** Runs the programs of test/fixtures/drift/programs.mjs; there is what their answers are. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { root } from '../tidy/files.ts';
import { Addons } from './addons.ts';

/** Bytes that the program made, by its own arithmetic. */
export type Truth = readonly (readonly [cause: string, bytes: number])[];

export interface Answer {
  readonly before: Explanation;
  readonly after: Explanation;
  readonly truth: Truth;
  /** AnonHugePages of smaps_rollup. */
  readonly hugeBytes: number;
  /** By a malloc_trim(0) right after; absent: there was none. */
  readonly returnedBytes?: number;
  /** Some seconds later. */
  readonly last?: Explanation;
  readonly lastTruth?: Truth;
}

export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly nodeFlags?: readonly string[];
}

/** V8's compilers and its collector take and free megabytes of malloc's on other threads. */
const nothingBeside = ['--max-opt=1', '--single-threaded-gc'];

/** A folder with the compiled addon in it; `remove` belongs in afterAll. */
export class KnownPrograms {
  readonly #addons = new Addons();
  readonly folder = this.#addons.folder;
  readonly addon = this.#addons.compile('known_answer.c', 'known_answer.node');

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, KNOWN_ANSWER: this.addon };
  }

  async run(name: string, { env, nodeFlags = [] }: Surroundings = {}): Promise<Answer> {
    const script = join(root, 'test/fixtures/drift/known_answer.mjs');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', ...nothingBeside, ...nodeFlags, script, name, this.folder],
      { env: { ...this.environment, ...env }, maxBuffer: 1 << 26 },
    );
    return JSON.parse(stdout) as Answer;
  }

  /** To be preloaded: jemalloc where it is installed, else one that is not known. */
  otherMalloc(): { readonly allocator: string; readonly path: string } {
    if (existsSync(jemallocPath()) || process.env.CI) {
      return { allocator: 'jemalloc', path: jemallocPath() };
    }
    const path = this.#addons.compile('other_malloc.c', 'other_malloc.so');
    return { allocator: 'other_malloc.so', path };
  }

  remove(): void {
    this.#addons.remove();
  }
}

/** Where Debian and its kin have it. */
export function jemallocPath(): string {
  const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  return `/usr/lib/${machine}-linux-gnu/libjemalloc.so.2`;
}

/** How the causes changed, with what is unexplained; those that grew most, first. */
export function growth({ before, after }: Pick<Answer, 'after' | 'before'>): [string, number][] {
  const bytesOf = (explanation: Explanation, cause: string): number =>
    explanation.causes.find((row) => row.cause === cause)?.bytes ?? 0;
  return [
    ...after.causes.map(({ cause }): [string, number] => [
      cause,
      bytesOf(after, cause) - bytesOf(before, cause),
    ]),
    ['unexplained', after.unexplainedBytes - before.unexplainedBytes] as [string, number],
  ].sort((a, b) => b[1] - a[1]);
}
