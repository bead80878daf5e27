// The time from a post in one process to the end of the wait in another, beside a message over a
// Unix socket and beside looking every millisecond.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Flag, Segment } from '../dist/index.js';

export const title = 'waking another process: a flag, a message over a Unix socket, a poll';

const own = fileURLToPath(import.meta.url);
const timeoutMs = 10_000;
const names = (base) => ({ there: `${base}-there`, back: `${base}-back`, times: `${base}-times` });

/** Both processes have this clock: CLOCK_MONOTONIC. */
const nowNs = () => process.hrtime.bigint();

/** The other process: writes when it woke, then answers in the same way. */
async function answer(base, socketPath) {
  const { there, back, times } = names(base);
  const wake = Flag.open(there);
  const answered = Flag.open(back);
  const woke = new BigInt64Array(Segment.open(times).buffer);
  const socket = connect(socketPath);
  socket.on('data', (data) => {
    woke[0] = nowNs();
    socket.write(data);
  });
  socket.on('close', () => process.exit(0));
  setInterval(() => {
    if (woke[1] === 0n) return;
    woke[0] = nowNs();
    woke[1] = 0n;
  }, 1);
  for (;;) {
    if (!(await wake.wait(timeoutMs))) continue;
    woke[0] = nowNs();
    answered.post();
  }
}

async function microseconds(runs, times, send) {
  const values = [];
  for (let i = 0; i < runs; i++) {
    await sleep(1); // both are asleep
    const start = nowNs();
    await send();
    values.push(Number(times[0] - start) / 1e3);
  }
  values.sort((a, b) => a - b);
  return { median: values[runs >> 1], p99: values[Math.floor(runs * 0.99)] };
}

async function measure(context, { wake, answered, times, socket }) {
  const runs = context.small ? 200 : 2000;
  const flag = await microseconds(runs, times, async () => {
    wake.post();
    await answered.wait(timeoutMs);
  });
  const message = await microseconds(runs, times, async () => {
    socket.write('x');
    await once(socket, 'data');
  });
  const poll = await microseconds(runs, times, async () => {
    times[1] = 1n;
    while (times[1] !== 0n) await sleep(0);
  });
  const row = (what, rival, rivalName) =>
    context.row({ what: `post to wake, ${what}`, ours: flag[what], rival, rivalName, unit: 'us' });
  row('median', message.median, 'Unix socket');
  row('p99', message.p99, 'Unix socket');
  row('median', poll.median, 'poll every 1 ms');
}

async function postRow(context, wake) {
  const posts = 100_000;
  const nanoseconds = await context.medianOf(5, () => {
    const start = nowNs();
    for (let i = 0; i < posts; i++) wake.post();
    return Number(nowNs() - start) / posts;
  });
  wake.tryWait();
  context.row({ what: 'post with nobody waiting', ours: nanoseconds, rival: null, unit: 'ns' });
}

export async function run(context) {
  const base = `bench-flag-${process.pid}`;
  const { there, back, times: timesName } = names(base);
  const socketPath = join(tmpdir(), `${base}.socket`);
  const wake = Flag.create(there);
  const answered = Flag.create(back);
  const segment = Segment.create({ name: timesName, sizeBytes: 16 });
  const times = new BigInt64Array(segment.buffer);
  await postRow(context, wake);
  const server = createServer().listen(socketPath);
  await once(server, 'listening');
  const child = spawn(process.execPath, [own, base, socketPath], { stdio: 'inherit' });
  const [socket] = await once(server, 'connection');
  await measure(context, { wake, answered, times, socket });
  socket.destroy();
  server.close();
  await once(child, 'exit');
  rmSync(socketPath, { force: true });
  for (const one of [wake, answered, segment]) one.close();
}

if (process.argv[1] === own) await answer(process.argv[2], process.argv[3]);
