// What it costs to watch the experiment ten times a second, and what it does to its wall time:
// watched, unwatched and with psutil beside it, in turns.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const title = 'the experiment, watched at 10 Hz';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const rival = fileURLToPath(new URL('psutil_watch.py', import.meta.url));
const full = { runs: 3, flags: [] };
const small = {
  runs: 1,
  flags:
    '--clients 3 --rounds 5 --work-ms 400 --array-size 10000000 --obj-store-mem 400000000'.split(
      ' ',
    ),
};

class Runs {
  constructor(flags) {
    this.folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
    this.flags = flags;
    this.count = 0;
  }

  end() {
    rmSync(this.folder, { recursive: true, force: true });
  }

  command() {
    const folder = join(this.folder, String(++this.count));
    // The experiment's own sampling would be a load beside ours.
    const own = ['--sample-ms', '2000', '--quiet', '--no-captures'];
    return [join(dist, 'main.js'), ...own, '--tmp-dir', folder, ...this.flags];
  }

  async run(args) {
    const child = spawn(process.execPath, args, { stdio: 'ignore', cwd: this.folder });
    const began = performance.now();
    const ended = once(child, 'exit');
    return {
      pid: child.pid,
      ended: ended.then(([code]) => ({ code, ms: performance.now() - began })),
    };
  }

  async alone() {
    const { ended } = await this.run(this.command());
    return checked(await ended);
  }

  async watched() {
    const json = join(this.folder, `watch-${this.count}.json`);
    const out = join(this.folder, `watch-${this.count}.jsonl`);
    const watch = [join(dist, 'cli.js'), 'watch', '--json', json, '--out', out, '--'];
    const { ended } = await this.run([...watch, process.execPath, ...this.command()]);
    return { ms: checked(await ended), report: JSON.parse(readFileSync(json, 'utf8')) };
  }

  async withPsutil(python, what) {
    const { pid, ended } = await this.run(this.command());
    const beside = spawn(python, [rival, String(pid), '10', what], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    beside.stdout.on('data', (data) => {
      text += data;
    });
    const ms = checked(await ended);
    beside.stdin.end();
    await once(beside, 'exit');
    return { ms, ...JSON.parse(text) };
  }
}

function checked({ code, ms }) {
  if (code !== 0) throw new Error(`the experiment ended with exit code ${code}`);
  return ms;
}

export async function run(context) {
  const { runs, flags } = context.small ? small : full;
  const hasPsutil = (await context.pythonHas('psutil')).length === 0;
  const all = new Runs(flags);
  const seen = { alone: [], watched: [], counters: [], full: [] };
  try {
    for (let i = 0; i < runs; i++) {
      seen.alone.push(await all.alone());
      seen.watched.push(await all.watched());
      if (!hasPsutil) continue;
      seen.counters.push(await all.withPsutil(context.pythonPath, 'rss'));
      seen.full.push(await all.withPsutil(context.pythonPath, 'full'));
    }
  } finally {
    all.end();
  }
  tell(context, seen);
  if (!hasPsutil) context.skip('psutil', 'it is not installed');
}

function tell(context, { alone, watched, counters, full: fullLooks }) {
  const medianOf = (list, field) =>
    list.length === 0 ? null : context.median(list.map((one) => one[field]));
  const observers = watched.map(({ report }) => report.observer);
  const common = { unit: '%', rival: medianOf(fullLooks, 'percent') };
  const rivalName = 'psutil memory_full_info';
  context.row({
    what: 'of one core, while the experiment runs',
    ours: medianOf(observers, 'percentOfCore'),
    ...common,
    rivalName,
    budget: { atMost: 1 },
  });
  const whole = observers.map(({ cpuMs }, i) => ({
    percent: (100 * cpuMs) / watched[i].report.durationMs,
  }));
  const note = 'with the start of Node';
  const rssRival = { rival: medianOf(counters, 'percent'), rivalName: 'psutil memory_info' };
  const what = 'of one core, the whole watch';
  context.row({ what, note, ours: medianOf(whole, 'percent'), unit: '%', ...rssRival });
  const aloneMs = context.median(alone);
  context.row({
    what: 'wall time, watched',
    ours: medianOf(watched, 'ms'),
    rival: aloneMs,
    rivalName: 'unwatched',
    unit: 'ms',
    budget: 1.02,
  });
  if (fullLooks.length > 0)
    context.row({
      what: 'wall time with psutil memory_full_info',
      ours: medianOf(fullLooks, 'ms'),
      rival: aloneMs,
      rivalName: 'unwatched',
      unit: 'ms',
    });
  const { report } = watched.at(-1);
  const { samples, samplesMissed, passes, threadCpuMs, samplingCpuMs, cpuMs } = report.observer;
  const hertz =
    fullLooks.length === 0 ? '' : `; psutil reached ${fullLooks[0].hertz.toFixed(1)} Hz`;
  context.text(
    `${report.processes.length} processes, ${samples} samples (${samplesMissed} missed), ` +
      `${passes} passes; CPU of the thread ${threadCpuMs.toFixed(0)} ms, of all sampling ` +
      `${samplingCpuMs.toFixed(0)} ms, with the start of Node ${cpuMs.toFixed(0)} ms${hertz}`,
  );
}
