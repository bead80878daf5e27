// What it costs to watch twelve processes that share 3 GB, ten times a second. CPU time, not wall
// time: the sampler's thread, and beside it our whole process with the samples that it received.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { measureGroup, Sampler } from '../dist/index.js';

export const title = 'sampling 12 processes that share 3 GB, at 10 Hz';

const holderSource = fileURLToPath(new URL('../test/system/holder.c', import.meta.url));
const processCount = 12;
const hertz = 10;

class Holder {
  constructor(program) {
    this.process = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async ask(text) {
    if (text) this.process.stdin.write(`${text}\n`);
    return (await this.lines.next()).value;
  }

  async end() {
    this.process.stdin.end();
    await once(this.process, 'exit');
  }
}

async function ours(pids, { segment, seconds }) {
  const usage = process.cpuUsage();
  const sampler = new Sampler({ pids, intervalMs: 1000 / hertz, segments: [segment] });
  let received = 0;
  sampler.on('sample', () => received++);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const { observer, footprint } = await sampler.stop();
  const { user, system } = process.cpuUsage(usage);
  return { observer, footprint, received, wholePercent: (user + system) / 10 / observer.wallMs };
}

async function measure(context, holders, segment) {
  const { bytes, seconds } = context.small
    ? { bytes: 100e6, seconds: 3 }
    : { bytes: 3e9, seconds: 60 };
  await holders[0].ask();
  await holders[0].ask(`write ${bytes} ${segment}`);
  for (const holder of holders.slice(1)) {
    await holder.ask();
    await holder.ask(`read ${bytes} ${segment}`);
  }
  const pids = holders.map((holder) => holder.process.pid);
  const { observer, footprint, received, wholePercent } = await ours(pids, { segment, seconds });
  const missing = await context.pythonHas('psutil');
  const rival =
    missing.length === 0
      ? await context.python('psutil_group.py', [context.small ? 2 : 10, hertz, ...pids])
      : null;
  const rivalName = 'psutil memory_full_info, to reach 10 Hz';
  const common = { rival: rival?.percentOfCoreAtRate ?? null, rivalName, unit: '%' };
  const what = "of one core: the sampler's thread";
  context.row({ what, ours: observer.percentOfCore, ...common, budget: { atMost: 1 } });
  context.row({ what: 'of one core: our whole process', ours: wholePercent, ...common });
  if (rival === null) context.skip('psutil', `${missing.join(', ')} is not installed`);
  const { totals } = measureGroup(pids, { segments: [segment] });
  context.text(
    `${observer.samples} samples (${received} received, ${observer.samplesMissed} missed), ` +
      `${observer.passes} passes in ${seconds} s; footprint's peak ` +
      `${(footprint.peakBytes / 1e6).toFixed(1)} MB (${footprint.exactness}), ` +
      `measureGroup ${(totals.footprintBytes / 1e6).toFixed(1)} MB, ` +
      `sum of RSS ${(totals.rssBytes / 1e6).toFixed(0)} MB; ` +
      `psutil reached ${rival ? rival.hertzReached.toFixed(2) : '-'} Hz`,
  );
}

export async function run(context) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const segment = `/dev/shm/memdrift-bench-${process.pid}`;
  const program = join(folder, 'holder');
  const holders = [];
  try {
    execFileSync('cc', ['-O1', '-o', program, holderSource]);
    for (let i = 0; i < processCount; i++) holders.push(new Holder(program));
    await measure(context, holders, segment);
  } finally {
    rmSync(segment, { force: true });
    rmSync(folder, { recursive: true, force: true });
    for (const holder of holders) await holder.end();
  }
}
