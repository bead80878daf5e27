// Reading a process's memory: our parser over a bare read(2) loop, and the library over psutil.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  readCounters,
  readMappings,
  readMappingsAsync,
  readResidency,
  readRollup,
} from '../dist/index.js';

export const title = 'reading smaps, rollup and counters of another process';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = `${root}build/smaps_bench`;
const mappings = 10_000;
const runs = 41;

/** Compiled here, not shipped: a bare read loop must not be a function of the addon. */
function compile() {
  const { core_sources: sources } = JSON.parse(
    readFileSync(`${root}native/sources.gypi`, 'utf8'),
  ).variables;
  mkdirSync(`${root}build`, { recursive: true });
  const flags = ['-O3', '-std=c++20', '-D_GNU_SOURCE', '-fno-omit-frame-pointer', '-pthread'];
  execFileSync(
    process.env.CXX ?? 'c++',
    [...flags, '-I', 'native', 'native/bench/smaps_bench.cc', ...sources, '-o', program],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

async function withTarget(measure) {
  const target = spawn(program, ['target', String(mappings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(target.stdout, 'data');
    await measure(Number(line.toString()));
  } finally {
    target.stdin.end();
    await once(target, 'exit');
  }
}

function nativeMedians(context, pid) {
  const output = execFileSync(program, ['measure', String(pid), String(runs)], {
    encoding: 'utf8',
  });
  const { bareMs, parsedMs, residencyMs } = JSON.parse(output);
  return {
    bare: context.median(bareMs),
    parsed: context.median(parsedMs),
    residency: context.median(residencyMs),
  };
}

const psutilScript = `
import json, psutil, sys, time
pid, call, runs = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
read = getattr(psutil.Process(pid), call)
# The same work as readCounters: psutil reads status and stat for these.
attributes = ["memory_info", "name", "status", "ppid", "uids", "num_threads", "cpu_times"]
arguments = {"memory_maps": {"grouped": False}, "as_dict": {"attrs": attributes}}.get(call, {})
times = []
for i in range(runs + 1):
    start = time.perf_counter()
    read(**arguments)
    times.append((time.perf_counter() - start) * 1e3)
print(json.dumps(sorted(times[1:])[runs // 2]))
`;

async function psutilRows(context, pid) {
  const calls = [
    ['readMappings, 10,000 mappings', () => readMappings(pid), 'memory_maps', 1 / 5],
    ['readMappingsAsync, the same', () => readMappingsAsync(pid), 'memory_maps', null],
    ['readRollup, the same', () => readRollup(pid), 'memory_full_info', null],
    ['readCounters, the same', () => readCounters(pid), 'as_dict', null],
  ];
  const missing = await context.pythonHas('psutil');
  if (missing.length > 0) {
    context.skip('psutil', `${context.pythonPath} has no psutil`);
    return;
  }
  for (const [what, read, call, budget] of calls) {
    const ours = await context.medianOf(runs, async () => {
      await read();
    });
    const rival = await context.python('-c', [psutilScript, pid, call, runs]);
    context.row({ what, ours, rival, rivalName: `psutil ${call}`, unit: 'ms', budget });
  }
}

export async function run(context) {
  try {
    compile();
  } catch (error) {
    context.skip('smaps', `no C++ compiler: ${error.message}`);
    return;
  }
  await withTarget(async (pid) => {
    const large = nativeMedians(context, pid);
    context.row({
      what: 'smaps read and parse, 10,000 mappings, CPU time',
      ours: large.parsed,
      rival: large.bare,
      rivalName: 'bare read(2)',
      unit: 'ms',
      budget: 1.08,
    });
    context.row({
      what: 'residency per mapping, the same',
      ours: large.residency,
      rival: large.bare,
      rivalName: 'bare read(2)',
      unit: 'ms',
    });
    await psutilRows(context, pid);
    const ours = await context.medianOf(runs, () => {
      readResidency(pid);
    });
    context.row({ what: 'readResidency, the same', ours, rival: null, unit: 'ms' });
  });
  const self = nativeMedians(context, process.pid);
  context.row({
    what: 'smaps read and parse, an idle Node, CPU time',
    ours: self.parsed,
    rival: self.bare,
    rivalName: 'bare read(2)',
    unit: 'ms',
  });
}
