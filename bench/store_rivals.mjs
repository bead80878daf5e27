// The store beside Ray, Python's shared_memory and npm's shm-typed-array: put, get, get and first
// read, and a reference there and back, with 1 to 8 processes at it at the same time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Store } from '../dist/index.js';

export const title = 'the store beside its rivals';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const mostProcesses = 8;
const processCounts = [1, 2, 4, 8];
/** Cases that would begin later are left out; Ray's last ones have all of it. */
const longestMs = 60_000 * Number(process.env.MEMDRIFT_BENCH_MINUTES ?? 5);
const longestWithoutRayMs = 0.75 * longestMs;
const startDelayNs = 5_000_000n;
/** In one slice each process does an operation `count` times; contenders have slices in turns. */
const sizes = [
  { sizeBytes: 1e3, label: '1 kB', slices: 5, counts: { put: 100, get: 200, first_read: 50 } },
  { sizeBytes: 1e6, label: '1 MB', slices: 5, counts: { put: 20, get: 200, first_read: 20 } },
  { sizeBytes: 1e8, label: '100 MB', slices: 3, counts: { put: 2, get: 200, first_read: 2 } },
  { sizeBytes: 1e9, label: '1 GB', slices: 2, counts: { put: 1, get: 30, first_read: 1 } },
];
const referredBytes = 1e8;
/** What takes so much at a time is done once, and leaves nothing behind for the next. */
const manyBytes = 2e9;
const opNames = { put: 'put', get: 'get', first_read: 'get and first read of all' };

/** A process that answers each line of JSON with one. */
class Peer {
  constructor(command, args) {
    this.child = spawn(command, args.map(String), { stdio: ['pipe', 'pipe', 'ignore'] });
    this.ended = once(this.child, 'exit');
    this.child.stdin.on('error', () => {});
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.command = [command, ...args].join(' ');
  }

  async answer() {
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done) throw new Error(`${this.command} ended`);
      if (value.startsWith('{')) return JSON.parse(value);
    }
  }

  ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.answer();
  }

  async end() {
    this.child.stdin.end();
    await this.ended;
  }
}

/** Contenders in Node: a process each, all told by us when to begin. */
class NodeContender {
  async startPeers(module, name) {
    const args = [here('store_worker.mjs'), module, name];
    this.peers = Array.from({ length: mostProcesses }, () => new Peer(process.execPath, args));
    for (const peer of this.peers) await peer.answer();
  }

  async share(sizeBytes) {
    const { key } = await this.peers[0].ask({ do: 'share', sizeBytes });
    const use = { do: 'use', key, sizeBytes };
    await Promise.all(this.peers.map((peer) => peer.ask(use)));
  }

  async measure({ op, count, processes }) {
    const active = this.peers.slice(0, op === 'round_trip' ? processes / 2 : processes);
    const startNs = String(process.hrtime.bigint() + startDelayNs);
    const request = { do: 'measure', op, count, startNs };
    const answers = await Promise.all(active.map((peer) => peer.ask(request)));
    return answers.flatMap((answer) => answer.times);
  }

  async end() {
    await Promise.all(this.peers.map((peer) => peer.end()));
  }
}

/** Contenders in Python: one process that has the others. */
class PythonContender {
  static async start(context, script, args) {
    const contender = new PythonContender();
    const all = [here(script), '--processes', mostProcesses, ...args];
    contender.peer = new Peer(context.pythonPath, all);
    await contender.peer.answer();
    return contender;
  }

  share(sizeBytes) {
    return this.peer.ask({ do: 'share', sizeBytes });
  }

  async measure(request) {
    return (await this.peer.ask({ do: 'measure', ...request })).times;
  }

  end() {
    return this.peer.end();
  }
}

class Memdrift extends NodeContender {
  keepsPages = true;

  static async start(capacityBytes) {
    const name = `bench-rivals-${process.pid}`;
    const contender = new Memdrift();
    contender.store = await Store.create({ name, capacityBytes });
    await contender.startPeers('./store_memdrift.mjs', name);
    return contender;
  }

  /** What a round of large puts has left, or the next contender has too little memory. */
  async settle() {
    await this.store.giveBack(2 ** 26);
  }

  async end() {
    await super.end();
    this.store.close();
  }
}

/** The floor of a put: TypedArray.set in the processes of `memdrift`, from the same source. */
function memcpyOf(memdrift) {
  return {
    keepsPages: true,
    share: () => {},
    measure: ({ op, ...request }) =>
      op === 'put' && request.processes * request.sizeBytes <= manyBytes
        ? memdrift.measure({ op: 'memcpy', ...request })
        : null,
    end: () => {},
  };
}

const rivalNames = { memcpy: 'memcpy', ray: 'Ray', python: 'Python', npm: 'shm-typed-array' };

/** Whatever does not start is a row that says why. */
async function startIfThere(context, name, start) {
  try {
    return { [name]: await start() };
  } catch (error) {
    context.skip(rivalNames[name], error.message);
    return {};
  }
}

async function startRay(context, folder, capacityBytes) {
  const missing = await context.pythonHas('ray', 'numpy');
  if (missing.length > 0) throw new Error(`${context.pythonPath} has no ${missing.join(', ')}`);
  const args = ['--tmp-dir', folder, '--capacity-bytes', capacityBytes];
  const ray = await PythonContender.start(context, 'rivals/ray_store.py', args);
  return Object.assign(ray, { keepsPages: true });
}

async function startPython(context) {
  const missing = await context.pythonHas('numpy');
  if (missing.length > 0) throw new Error(`${context.pythonPath} has no ${missing.join(', ')}`);
  return PythonContender.start(context, 'rivals/python_shm.py', []);
}

async function startNpm() {
  const contender = new NodeContender();
  await contender.startPeers('./rivals/shm_typed_array.mjs', '');
  return contender;
}

/** The median of what all processes measured in one slice, in us; null where it cannot be. */
async function slice(context, contender, request) {
  // Who makes a segment for each put has new pages whatever went before.
  if (contender.keepsPages || request.op !== 'put') {
    await contender.measure({ ...request, count: 1 });
  }
  const times = await contender.measure(request);
  if (times === null) return null;
  if (request.sizeBytes * request.processes > manyBytes) await contender.settle?.();
  return context.median(times);
}

/** Medians over slices that the contenders have in turns, by contender. */
async function inTurns(context, contenders, { slices, ...request }) {
  const found = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let i = 0; i < slices; i++) {
    for (const [name, contender] of Object.entries(contenders)) {
      found[name].push(await slice(context, contender, request));
    }
  }
  const entries = Object.entries(found).filter(([, values]) => values[0] !== null);
  return Object.fromEntries(entries.map(([name, values]) => [name, context.median(values)]));
}

/** All that is measured of objects of one size. */
function casesOf({ sizeBytes, label, slices, counts }, context) {
  const some = context.small ? [1, 2] : processCounts;
  // The few processes first, should the time be over.
  const cases = some.flatMap((processes) =>
    Object.entries(counts).map(([op, count]) => {
      const what = `${opNames[op]}, ${label}`;
      // Many processes are many runs.
      const rounds = processes * sizeBytes > manyBytes ? 1 : slices;
      return { op, what, sizeBytes, slices: rounds, count, processes };
    }),
  );
  if (sizeBytes !== referredBytes) return cases;
  const what = `reference to ${label} there and back`;
  const trips = some.filter((processes) => processes > 1);
  const trip = { op: 'round_trip', what, sizeBytes, slices: 5, count: 300 };
  return [...cases, ...trips.map((processes) => ({ ...trip, processes }))];
}

/** What is missing for a case, in words, or null. */
function shortOf({ sizeBytes, processes }) {
  const neededBytes = sizeBytes * (processes + 3) + 1e9;
  const { bavail, bsize } = statfsSync('/dev/shm');
  const thereBytes = Math.min(freemem(), bavail * bsize);
  if (thereBytes >= neededBytes) return null;
  const [needed, there] = [neededBytes, thereBytes].map((bytes) => (bytes / 1e9).toFixed(1));
  return `it needs ${needed} GB of memory and /dev/shm, ${there} are there`;
}

async function measureSize(context, contenders, { size, endMs }) {
  const results = [];
  for (const contender of Object.values(contenders)) await contender.share(size.sizeBytes);
  for (const one of casesOf(size, context)) {
    const why = performance.now() > endMs ? 'the time is over' : shortOf(one);
    if (why !== null) context.skip(nameOf(one), why);
    else results.push({ ...one, us: await inTurns(context, contenders, one) });
  }
  return results;
}

/** Starts contenders, measures the sizes, ends them. */
async function stage(context, start, { someSizes, endMs }) {
  const contenders = {};
  try {
    await start(contenders);
    const results = [];
    for (const size of someSizes) {
      results.push(...(await measureSize(context, contenders, { size, endMs })));
    }
    return results;
  } finally {
    for (const contender of Object.values(contenders)) await contender.end();
  }
}

function withoutRay(context, capacityBytes) {
  return async (contenders) => {
    contenders.ours = await Memdrift.start(capacityBytes);
    contenders.memcpy = memcpyOf(contenders.ours);
    Object.assign(contenders, await startIfThere(context, 'python', () => startPython(context)));
    Object.assign(contenders, await startIfThere(context, 'npm', startNpm));
  };
}

function onlyRay(context, folder, capacityBytes) {
  return async (contenders) => {
    const start = () => startRay(context, folder, capacityBytes);
    Object.assign(contenders, await startIfThere(context, 'ray', start));
  };
}

/** 1 GB in eight processes fits the memory once, so there Ray comes after all the others. */
async function measureAll(context, folder) {
  const [few, many] = [sizes.slice(0, 3), sizes.slice(3)];
  const both = async (contenders) => {
    await withoutRay(context, 3e9)(contenders);
    await onlyRay(context, folder, 3e9)(contenders);
  };
  const [beganMs, endMs] = [performance.now(), performance.now() + longestMs];
  const someSizes = context.small ? few.slice(0, 2) : few;
  const results = await stage(context, both, { someSizes, endMs });
  if (context.small) return results;
  const withoutRayOf = { someSizes: many, endMs: beganMs + longestWithoutRayMs };
  const large = await stage(context, withoutRay(context, 11e9), withoutRayOf);
  const rays = await stage(context, onlyRay(context, folder, 11e9), { someSizes: many, endMs });
  for (const one of large) Object.assign(one.us, rays.find((ray) => isSame(ray, one))?.us);
  return [...results, ...large];
}

const isSame = (a, b) => a.what === b.what && a.processes === b.processes;

function nameOf({ what, processes }) {
  return processes === 1 ? what : `${what}; ${processes} processes at it`;
}

/** Ten times Ray, where it is not memory itself that takes the time. */
function budgetOf({ op, sizeBytes }) {
  const isBoundByMemory = sizeBytes >= 1e6 && (op === 'put' || op === 'first_read');
  return isBoundByMemory ? undefined : 0.1;
}

function timeText(us) {
  if (us === undefined) return '-';
  if (us < 1e3) return `${us.toFixed(us < 10 ? 1 : 0)} us`;
  return us < 1e6 ? `${(us / 1e3).toFixed(us < 1e4 ? 1 : 0)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

/** The table of README.md: each rival's time, and how many of ours that is. */
function markdown(results) {
  const rivals = Object.keys(rivalNames);
  const head = ['what', 'processes', 'memdrift', ...Object.values(rivalNames)];
  const rows = results.map(({ what, processes, us }) => [
    ...[what, processes, timeText(us.ours)],
    ...rivals.map((name) => {
      const times = us[name] / us.ours;
      if (us[name] === undefined) return '-';
      return `${timeText(us[name])} (${times < 10 ? times.toFixed(1) : times.toFixed(0)} x)`;
    }),
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function putAgainstMemcpyRow(context, { what, us }) {
  const pair = { ours: us.ours / 1000, rival: us.memcpy / 1000, rivalName: 'memcpy', unit: 'ms' };
  context.row({ what, ...pair, budget: 1 / 0.9 });
}

export async function run(context) {
  const folder = mkdtempSync(join(tmpdir(), 'md-'));
  try {
    const results = await measureAll(context, folder);
    for (const one of results) {
      const pair = { ours: one.us.ours, rival: one.us.ray ?? null, rivalName: 'Ray', unit: 'us' };
      context.row({ what: nameOf(one), ...pair, budget: context.small ? null : budgetOf(one) });
      const isLargePut = one.op === 'put' && one.sizeBytes >= 1e8 && one.processes === 1;
      if (isLargePut) putAgainstMemcpyRow(context, one);
    }
    context.text(markdown(results));
    context.text(
      'Medians of one operation in one process while all are at it; in brackets how many of ours ' +
        'that is. Dropping what was put, and releasing what was got, is not in the times.',
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
