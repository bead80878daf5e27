/** Programs on real packages: run plain, tracked, attached to and explained, beside busy loops. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readCaptureStats } from '../../src/capture/capture.ts';
import type { CaptureStats } from '../../src/capture/capture_model.ts';

const pathOf = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const cli = pathOf('dist/cli.js');

/**
 * Finds the packages, which programs reach through a link.
 * @throws Error where they are not installed.
 */
export function packagesFolder(): string {
  const folder = resolve(process.env.MEMDRIFT_REAL_PACKAGES ?? '.cache/real-packages');
  if (existsSync(join(folder, 'node_modules'))) return folder;
  throw new Error(`no packages in ${folder}: install them with node test/real/install.mjs`);
}

/** A program that runs longer than this hangs. */
const mostMs = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Answers of the reader about a capture. */
export interface Recorded
  extends Pick<CaptureStats, 'allocations' | 'damage' | 'droppedRecords' | 'ending'> {
  readonly file: string;
}

/** One Node with the packages: programs run in a folder of their own, which links to them. */
export class Bed {
  readonly #node: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'memdrift-real-'));
  readonly #env: NodeJS.ProcessEnv;
  readonly #children = new Set<ChildProcess>();
  #count = 0;

  constructor(node: string, packages: string, env: NodeJS.ProcessEnv) {
    this.#node = node;
    // Node's own reporters look whether this is CI.
    const { CI: _, VITEST: __, NODE_ENV: ___, VITEST_WORKER_ID: ____, ...inherited } = process.env;
    this.#env = { ...inherited, ...env };
    cpSync(pathOf('test/fixtures/real'), this.#folder, { recursive: true });
    symlinkSync(join(packages, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs the program without memdrift. */
  plain(program: readonly string[]): Promise<Ended> {
    return ended(this.#start(['program.mjs', ...program]));
  }

  /** Runs it under `memdrift run` with these options. */
  async run(program: readonly string[], options: readonly string[]) {
    const captures = this.#newFolder();
    const order = ['run', ...options, '-o', join(captures, 'main.mdc'), 'program.mjs'];
    const end = await ended(this.#start([cli, ...order, ...program]));
    return { end, recorded: await recordedIn(captures) };
  }

  /** Runs a file of test/fixtures/real under `memdrift run`; returns what its capture says. */
  async statsOf(file: string): Promise<{ readonly end: Ended; readonly stats: CaptureStats }> {
    const capture = join(this.#newFolder(), 'main.mdc');
    const end = await ended(this.#start([cli, 'run', '-o', capture, file]));
    return { end, stats: await readCaptureStats(capture) };
  }

  /** Attaches before it loads its package, until it ends. */
  async attach(program: readonly string[]) {
    const captures = this.#newFolder();
    const file = join(captures, 'main.mdc');
    const { child, end, gate } = await this.#startGated(program);
    const attached = await this.#memdrift('attach', `${child.pid}`, '-o', file);
    openGate(gate, 'begin');
    openGate(gate, 'end');
    return { attached, end: await end, recorded: await recordedIn(captures) };
  }

  /** Explains it while it works. */
  async explain(program: readonly string[]) {
    const { child, end, gate } = await this.#startGated(program);
    openGate(gate, 'begin');
    const explained = await this.#memdrift('explain', `${child.pid}`, '--json');
    openGate(gate, 'end');
    return { explained, end: await end };
  }

  async #startGated(program: readonly string[]) {
    const gate = this.#newFolder();
    // Any port: another program may have the usual one.
    const args = ['--inspect-port=0', 'program.mjs', ...program];
    const child = this.#start(args, { MEMDRIFT_REAL_GATE: gate });
    const end = ended(child);
    await reached(gate, 'begin', child);
    return { child, end, gate };
  }

  #memdrift(command: string, ...args: readonly string[]): Promise<Ended> {
    return ended(this.#start([cli, command, ...args, '--yes-open-inspector']));
  }

  #start(args: readonly string[], more: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(this.#node, args, {
      cwd: this.#folder,
      env: { ...this.#env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  #newFolder(): string {
    return mkdtempSync(join(this.#folder, `${this.#count++}-`));
  }
}

/** Reads the captures of a folder, and removes it. */
async function recordedIn(folder: string): Promise<Recorded[]> {
  const all: Recorded[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.mdc'))) {
    const stats = await readCaptureStats(join(folder, file));
    const { allocations, droppedRecords, damage, ending } = stats;
    all.push({ file, allocations, droppedRecords, damage, ending });
  }
  rmSync(folder, { recursive: true });
  return all;
}

function ended(child: ChildProcess): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  const timer = setTimeout(() => child.kill('SIGKILL'), mostMs);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...texts });
    });
  });
}

function openGate(gate: string, name: string): void {
  writeFileSync(join(gate, `${name}.open`), '');
}

async function reached(gate: string, name: string, child: ChildProcess): Promise<void> {
  const ends = performance.now() + mostMs;
  while (!existsSync(join(gate, `${name}.reached`))) {
    // Its end says more than a missing gate.
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (performance.now() > ends) throw new Error(`the program did not come to gate ${name}`);
    await sleep(5);
  }
}

/** Ends by itself when this process has ended, however it ended. */
const loop = `const parent = process.ppid;
  while (process.ppid === parent) for (let i = 0; i < 1e7; i++);`;

/** Starts this many busy loops; returns a function that ends them. */
export function busyLoops(count: number): () => void {
  const loops = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }),
  );
  return () => {
    for (const one of loops) one.kill('SIGKILL');
  };
}
