/** Programs whose allocations are known, run under `memdrift run`, and their captures. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCaptureTable } from '../src/capture/capture.ts';
import type { CaptureTable, TableRow } from '../src/capture/capture_model.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = join(root, 'dist/cli.js');
export const fixture = (name: string): string => join(root, 'test/fixtures/tracked', name);

/** A folder with the compiled addon and object in it; `remove` belongs in afterAll. */
export class GroundTruth {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-truth-'));
  readonly addon = join(this.folder, 'ground_truth.node');
  readonly object = join(this.folder, 'object.so');
  readonly #flags: readonly string[];
  #runs = 0;

  /** `moreFlags` are for the compiler. */
  constructor(moreFlags: readonly string[] = []) {
    const headers = join(root, 'node_modules/node-api-headers/include');
    this.#flags = ['-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-I', headers, ...moreFlags];
    this.#compile(join(root, 'test/native/ground_truth.c'), this.addon);
    this.#compile(fixture('object.c'), this.object);
  }

  /** Compiles another addon of test/native, and returns its path. */
  addonOf(source: string): string {
    const to = join(this.folder, `${source}.node`);
    this.#compile(join(root, 'test/native', source), to);
    return to;
  }

  #compile(source: string, to: string): void {
    execFileSync('cc', [...this.#flags, source, '-o', to, '-lpthread', '-ldl']);
  }

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, GROUND_TRUTH: this.addon, TEST_OBJECT: this.object };
  }

  /** Runs `memdrift run` in a folder of its own; its captures by file name. */
  async run(script: string, options: RunOptions = {}): Promise<Run> {
    const cwd = join(this.folder, `run-${++this.#runs}`);
    mkdirSync(cwd);
    const { node = [], flags = [], args = [] } = options;
    const command = [...node, cli, 'run', ...flags, script, ...args];
    const env = { ...this.environment, ...options.env };
    const child = spawn(process.execPath, command, { cwd, env });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const code = await new Promise<number | null>((resolve) => {
      child.on('close', (status) => resolve(status));
    });
    return { cwd, code, stdout, stderr, captures: capturesIn(cwd) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface RunOptions {
  /** For Node, and so for the program. */
  readonly node?: readonly string[];
  readonly flags?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface Run {
  readonly cwd: string;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Paths, sorted. */
  readonly captures: readonly string[];
}

function capturesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.mdc'))
    .map((name) => join(folder, name))
    .sort();
}

/** The rows that `name` is part of the stack of. */
export function rowsOf(table: CaptureTable, name: string): readonly TableRow[] {
  return table.rows.filter((row) => row.stack.some((frame) => frame.function === name));
}

/** What was held under `name`, by kind. */
export function heldUnder(table: CaptureTable, name: string): Record<string, number> {
  const held: Record<string, number> = {};
  for (const row of rowsOf(table, name)) held[row.kind] = (held[row.kind] ?? 0) + row.bytes;
  return held;
}

interface Weights {
  readonly committed?: boolean;
}

/** What is live at the end of the only capture of a run. */
export async function leaksOf(run: Run, options: Weights = {}): Promise<CaptureTable> {
  const [capture, ...more] = run.captures;
  if (capture === undefined || more.length > 0 || run.code !== 0) {
    throw new Error(
      `${dirname(capture ?? run.cwd)}: ${run.captures.length} captures\n${run.stderr}`,
    );
  }
  return readCaptureTable(capture, { ...options, leaks: true });
}
