// Watches one random program, in a process of its own since a watch follows all that its
// process starts. argv is a seed and the folder of the program in C. Writes all samples, and the
// truths that were read while the program was stopped, as JSON.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Watch } from '../dist/watch/watch.js';
import { signal, whileStopped } from './stopped_group.mjs';

const programs = fileURLToPath(new URL('memory_programs/', import.meta.url));
const seconds = 7;
const defaults = {
  intervalMs: 100,
  budgetPercent: 0.6,
  slurmFrequencyMs: 30_000,
  proctrack: 'cgroup',
  showsCommandLine: false,
};

function commandOf(seed, folder) {
  const args = [String(seed), String(seconds), `memdrift-bounds-${process.pid}-${seed}`];
  const node = [process.execPath, join(programs, 'random.mjs')];
  const python = ['python3', join(programs, 'random.py')];
  return [...[python, [join(folder, 'random')], python, node][seed % 4], ...args];
}

// One program under watch, with its samples and truths.
class Watched {
  samples = [];
  truths = [];

  constructor(seed, folder) {
    this.seed = seed;
    this.limitBytes = (20 + ((seed * 7919) % 500)) * 1e6;
    const mark = `MEMDRIFT_BOUNDS=${process.pid}.${seed}`;
    const command = commandOf(seed, folder);
    const [name, value] = mark.split('=');
    const env = { ...process.env, [name]: value };
    // A process group of its own, which is what is stopped.
    this.child = spawn(command[0], command.slice(1), { stdio: 'ignore', detached: true, env });
    this.ended = once(this.child, 'exit');
    const { limitBytes } = this;
    const options = { ...defaults, mark, command, roots: [this.child.pid], limitBytes };
    const log = { header() {}, sample: (sample) => this.take(sample), close() {} };
    // The sampler's clock begins between these two.
    this.startMs = [performance.now(), 0];
    this.watch = new Watch(options, { log });
    this.startMs[1] = performance.now();
  }

  take({ atMs, group, processes, endedEarly }) {
    const { seed, startMs, limitBytes } = this;
    const pids = processes.map(({ pid }) => pid).filter((pid) => pid !== process.pid);
    const atLeastMs = atMs + startMs[0];
    const clockMs = performance.timeOrigin + atLeastMs;
    const isResting = clockMs % 3000 > 1700;
    const times = { atMs, atLeastMs, atMostMs: atMs + startMs[1], isResting };
    this.samples.push({ seed, ...times, ...group, pids, early: endedEarly.atLeast, limitBytes });
  }

  // Stops it long enough for a sample, or as briefly as possible.
  async look(isLong) {
    const truth = await whileStopped(this.child.pid, () => (isLong ? sleep(150) : null));
    if (truth !== null) this.truths.push({ ...truth, isLong });
  }

  async run() {
    let isEnded = false;
    this.ended.then(() => {
      isEnded = true;
    });
    for (let i = this.seed; ; i++) {
      await sleep(400 + ((i * 677) % 900));
      if (isEnded) break;
      await this.look(i % 3 !== 0);
    }
    signal(this.child.pid, 'SIGKILL');
    await this.watch.stop({ code: 0, signal: null });
    return this;
  }
}

const [seed, folder] = process.argv.slice(2);
const { samples, truths } = await new Watched(Number(seed), folder).run();
process.stdout.write(JSON.stringify({ seed, samples, truths }));
