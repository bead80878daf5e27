// How often programs that load large libraries, or use DuckDB, end by a signal: plain, tracked,
// sampled and attached to, beside busy loops. For stress by hand: hours of it find what one run in
// CI may miss. Nodes and packages are those of test/real (see ARCHITECTURE.md).
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const title = 'crashes of programs that load and unload large libraries';

const pathOf = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const cli = pathOf('dist/cli.js');
const packages = resolve(process.env.MEMDRIFT_REAL_PACKAGES ?? '.cache/real-packages');
const nodes = (process.env.MEMDRIFT_REAL_NODES ?? process.execPath).split(':');
/** How often each of two threads loads and unloads it. */
const loadsPerThread = 5;
const loadsPerProcess = 2 * loadsPerThread;
const mostMs = 120_000;

const libraries = ['libLLVM-15.so.1', 'libgtk-3.so.0', 'libz3.so.4'];
const programs = [
  ...libraries.map((name) => ({
    name: `loads of ${name}`,
    args: ['libraries', name, String(loadsPerThread)],
    loads: loadsPerProcess,
  })),
  { name: 'DuckDB programs', args: ['duckdb'], loads: 1 },
];

/** How many loads, and programs of DuckDB. */
function countsOn(major, small) {
  if (small) return { loads: 30, programs: 5 };
  const isEnd = major !== 22 && major !== 24;
  return isEnd ? { loads: 200, programs: 100 } : { loads: 30, programs: 30 };
}

const loop = `const parent = process.ppid;
  while (process.ppid === parent) for (let i = 0; i < 1e7; i++);`;

function ended(child) {
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), mostMs);
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      // The launcher reports a signal as shells do.
      const told = code > 128 ? `signal ${code - 128}` : `exit ${code}`;
      done({ how: signal ?? (code === 0 && stdout !== '' ? 'fine' : told), stdout });
    });
  });
}

class Stress {
  #folder = mkdtempSync(join(tmpdir(), 'memdrift-loads-'));
  #node;

  constructor(node) {
    this.#node = node;
    cpSync(pathOf('test/fixtures/real'), this.#folder, { recursive: true });
    symlinkSync(join(packages, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  remove() {
    rmSync(this.#folder, { recursive: true });
  }

  plain(args) {
    return ended(this.#start(['program.mjs', ...args]));
  }

  async run(args, options = []) {
    const captures = mkdtempSync(join(this.#folder, 'captures-'));
    const order = ['run', ...options, '-o', join(captures, 'main.mdc'), 'program.mjs'];
    const end = await ended(this.#start([cli, ...order, ...args]));
    rmSync(captures, { recursive: true });
    return end;
  }

  /** Attaches before it loads anything. */
  async attach(args) {
    const gate = mkdtempSync(join(this.#folder, 'gate-'));
    const env = { ...process.env, MEMDRIFT_REAL_GATE: gate };
    const child = this.#start(['--inspect-port=0', 'program.mjs', ...args], env);
    const end = ended(child);
    while (!existsSync(join(gate, 'begin.reached')) && child.exitCode === null) await sleep(5);
    const order = ['attach', `${child.pid}`, '-o', join(gate, 'main.mdc'), '--yes-open-inspector'];
    const attached = await ended(this.#start([cli, ...order]));
    for (const name of ['begin', 'end']) writeFileSync(join(gate, `${name}.open`), '');
    const { how, stdout } = await end;
    rmSync(gate, { recursive: true });
    return { how: attached.how === 'fine' ? how : `attach: ${attached.how}`, stdout };
  }

  #start(args, env = process.env) {
    return spawn(this.#node, args, { cwd: this.#folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
  }
}

const ways = {
  run: (stress, args) => stress.run(args),
  'run --sample-bytes': (stress, args) => stress.run(args, ['--sample-bytes', '65536']),
  attach: (stress, args) => stress.attach(args),
};

async function repeated(count, once) {
  const how = new Map();
  for (let i = 0; i < count; i++) {
    const end = await once();
    if (end.how !== 'fine') how.set(end.how, (how.get(end.how) ?? 0) + 1);
  }
  const crashes = [...how.values()].reduce((sum, one) => sum + one, 0);
  return { crashes, ends: [...how].map(([name, times]) => `${times} x ${name}`).join(', ') };
}

export async function run(context) {
  if (!existsSync(join(packages, 'node_modules'))) {
    context.skip(title, `no packages in ${packages}: node test/real/install.mjs installs them`);
    return;
  }
  const loops = [0, 1].map(() => spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }));
  try {
    for (const node of nodes) await stressOn(node, context);
  } finally {
    for (const one of loops) one.kill('SIGKILL');
  }
}

async function stressOn(node, context) {
  const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
  const counts = countsOn(Number.parseInt(version, 10), context.small);
  const stress = new Stress(node);
  try {
    for (const { name, args, loads } of programs) {
      const wanted = loads === 1 ? counts.programs : counts.loads;
      const count = Math.ceil(wanted / loads);
      const plain = await repeated(Math.ceil(count / 5), () => stress.plain(args));
      for (const [way, once] of Object.entries(ways)) {
        const { crashes, ends } = await repeated(count, () => once(stress, args));
        const what = `Node ${version}, ${way}: crashes in ${wanted} ${name}, ${count} processes`;
        process.stderr.write(`${what}: ${crashes}${ends && ` (${ends})`}\n`);
        const budget = { atMost: 0 };
        const beside = { rival: plain.crashes, rivalName: 'plain' };
        context.row({ what, ours: crashes, ...beside, budget, note: ends });
      }
    }
  } finally {
    stress.remove();
  }
}
