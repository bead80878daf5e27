// One of the processes that bench/store_rivals.mjs has at a store at the same time: ours, or that
// of the module that it is told. Requests are lines of JSON, each is answered with one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [, , module, name] = process.argv;
const echo = fileURLToPath(new URL('./store_echo.mjs', import.meta.url));
const channelEcho = fileURLToPath(new URL('./channel_echo.mjs', import.meta.url));
const { open } = await import(new URL(module, import.meta.url).href);
const store = await open(name);
/** An attachment that keeps no page-table entries of what it has read. */
const fresh = await open(name, { trim: true });

let key = null;
/** What this process has made for all. */
let shared = null;
let sizeBytes = 0;
/** The arrays that a copy needs, until another object is used. */
let source = null;
let target = null;
let partner = null;

function releaseSource() {
  source?.release();
  source = target = null;
}

async function sourceBytes() {
  source ??= await store.get(key);
  return source.bytes;
}

const elapsedUs = (start) => (performance.now() - start) * 1000;

/** Each answers how long it took, in us, without what had to be prepared and cleared up. */
const operations = {
  async put() {
    const bytes = await sourceBytes();
    const start = performance.now();
    const made = await store.put(bytes);
    const us = elapsedUs(start);
    store.drop(made);
    return us;
  },
  async get() {
    const start = performance.now();
    const object = await store.get(key);
    const us = elapsedUs(start);
    object.release();
    return us;
  },
  async first_read() {
    const start = performance.now();
    const object = await (fresh.getToRead ?? fresh.get)(key);
    const { buffer, byteOffset, byteLength } = object.bytes;
    // Buffer's search is memchr; that of Uint8Array looks at one byte after the other.
    const found = Buffer.from(buffer, byteOffset, byteLength).indexOf(9);
    const us = elapsedUs(start);
    if (found !== -1) throw new Error('a byte that nobody wrote');
    object.release();
    return us;
  },
  async memcpy() {
    const bytes = await sourceBytes();
    target ??= new Uint8Array(sizeBytes).fill(1);
    const start = performance.now();
    target.set(bytes);
    return elapsedUs(start);
  },
  async round_trip() {
    partner ??= await connectPartner();
    const start = performance.now();
    await partner.roundTrip();
    return elapsedUs(start);
  },
};

/** Another process at the same store, that gets what it is sent a reference to and answers. */
function connectPartner() {
  return store.channel === undefined ? connectBySocket() : connectByChannel();
}

async function connectByChannel() {
  const ways = [`there-${process.pid}`, `back-${process.pid}`];
  const child = spawn(process.execPath, [channelEcho, name, ...ways], { stdio: 'inherit' });
  const [there, back] = ways.map((way) => store.channel(way));
  return {
    async roundTrip() {
      await there.send(key);
      (await back.receive()).release();
    },
    async end() {
      await there.close();
      await once(child, 'exit');
    },
  };
}

async function connectBySocket() {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const path = join(folder, 'echo.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const child = spawn(process.execPath, [echo, path, name, 'look', module], { stdio: 'inherit' });
  const [socket] = await once(server, 'connection');
  const ended = once(child, 'exit');
  let answered = null;
  socket.on('data', () => answered());
  server.close();
  rmSync(folder, { recursive: true });
  return {
    roundTrip: () =>
      new Promise((resolve) => {
        answered = resolve;
        socket.write(`${JSON.stringify({ id: key, round: 0 })}\n`);
      }),
    end() {
      socket.end();
      return ended;
    },
  };
}

/** All processes begin at the same moment. */
function waitUntil(startNs) {
  while (process.hrtime.bigint() < startNs);
}

const requests = {
  async share(request) {
    if (shared !== null) store.drop(shared);
    shared = await store.put(new Uint8Array(request.sizeBytes).fill(3));
    return { key: shared };
  },
  async use(request) {
    releaseSource();
    ({ key, sizeBytes } = request);
    return {};
  },
  async measure({ op, count, startNs }) {
    // A second reference to what is held already would be another thing than a get.
    if (op !== 'put' && op !== 'memcpy') releaseSource();
    waitUntil(BigInt(startNs));
    const times = [];
    for (let i = 0; i < count; i++) times.push(await operations[op]());
    return { times };
  },
};

process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await requests[request.do](request))}\n`);
}
releaseSource();
await partner?.end();
if (shared !== null) store.drop(shared);
fresh.close();
store.close();
