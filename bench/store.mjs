// The store against memory itself: put against memcpy, get at any size, the first read of all
// bytes, and what a message costs that carries a reference to 100 MB.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Store } from '../dist/index.js';

export const title = 'the store';

const large = 100_000_000;
const echo = fileURLToPath(new URL('./store_echo.mjs', import.meta.url));

function microseconds(work) {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1000;
}

function middle(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function putAgainstMemcpy(context, store) {
  const source = new Uint8Array(large).fill(7);
  const target = new Uint8Array(large).fill(1);
  const put = async () => {
    const start = performance.now();
    const id = await store.put(source);
    const ms = performance.now() - start;
    store.delete(id);
    return ms;
  };
  const cold = await put();
  const { ours, rival } = await context.alternate(15, {
    ours: put,
    rival: () => microseconds(() => target.set(source)) / 1000,
  });
  const what = 'put of 100 MB where this process wrote before';
  context.row({ what, ours, rival, rivalName: 'memcpy', unit: 'ms', budget: 1 / 0.9 });
  context.row({ what: 'put of 100 MB, cold', ours: cold, rival, rivalName: 'memcpy', unit: 'ms' });
}

async function getAtSize(context, store, sizeBytes) {
  const id = await store.put(new Uint8Array(sizeBytes).fill(3));
  const gets = [];
  for (let i = 0; i < 1000; i++) {
    const start = performance.now();
    const object = await store.get(id);
    gets.push((performance.now() - start) * 1000);
    object.release();
  }
  const what = `get of ${sizeBytes.toExponential(0)} bytes`;
  context.row({ what, ours: middle(gets), rival: null, unit: 'us', budget: { atMost: 10 } });
  store.delete(id);
}

async function firstRead(context, store) {
  const reader = await Store.open(store.name, { trim: true });
  const id = await store.put(new Uint8Array(large).fill(3));
  const times = [];
  for (let i = 0; i < 7; i++) {
    const start = performance.now();
    const object = await reader.get(id);
    if (object.bytes.indexOf(9) !== -1) throw new Error('a byte that nobody wrote');
    times.push(performance.now() - start);
    object.release();
  }
  const ours = middle(times);
  context.row({ what: 'get of 100 MB and first read of all', ours, rival: null, unit: 'ms' });
  store.delete(id);
  reader.close();
}

/** The median time, in us, of a message there and back; with `how` 'look' it is a reference. */
async function roundTripUs({ store, id, how }) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const path = join(folder, 'echo.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const child = spawn(process.execPath, [echo, path, store.name, how], { stdio: 'inherit' });
  const [socket] = await once(server, 'connection');
  let answered = null;
  socket.on('data', () => answered());
  const times = [];
  for (let round = 0; round < 5000; round++) {
    const start = performance.now();
    await new Promise((resolve) => {
      answered = resolve;
      socket.write(`${JSON.stringify({ type: 'array', round, id })}\n`);
    });
    times.push((performance.now() - start) * 1000);
  }
  socket.end();
  await once(child, 'exit');
  server.close();
  rmSync(folder, { recursive: true });
  return middle(times.slice(1000));
}

/** Runs `work` while this process and its children are kept on one processor. */
async function onOneProcessor(work) {
  const taskset = (list) => execFileSync('taskset', ['-acp', list, `${process.pid}`]);
  const before = readFileSync('/proc/self/status', 'utf8').match(/Cpus_allowed_list:\s*(\S+)/)[1];
  taskset(before.match(/^\d+/)[0]);
  try {
    return await work();
  } finally {
    taskset(before);
  }
}

/**
 * On one processor, where the time is ours and the kernel's; and as the scheduler has it, where an
 * idle processor must be woken up for each message, which a virtual one takes its time for.
 */
async function referenceRoundTrip(context, store) {
  const id = await store.put(new Uint8Array(large).fill(3));
  const measure = () =>
    context.alternate(3, {
      ours: () => roundTripUs({ store, id, how: 'look' }),
      rival: () => roundTripUs({ store, id, how: 'echo' }),
      warmups: 0,
    });
  const what = 'reference to 100 MB there and back, with get and release';
  const shared = { rivalName: 'the bare message', unit: 'us' };
  const one = await onOneProcessor(measure);
  context.row({ what: `${what}, one processor`, ...one, ...shared, budget: { atMost: 80 } });
  context.row({ what: `${what}, two`, ...(await measure()), ...shared });
  store.delete(id);
}

export async function run(context) {
  const name = `bench-${process.pid}`;
  const store = await Store.create({ name, capacityBytes: 2e9 });
  try {
    await putAgainstMemcpy(context, store);
    for (const sizeBytes of [1e3, 1e6, 1e8, 1e9]) await getAtSize(context, store, sizeBytes);
    await firstRead(context, store);
    await referenceRoundTrip(context, store);
  } finally {
    store.close();
  }
}
