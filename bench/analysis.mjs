// From records to answers: reading, the table of the peak, the page, beside memray's.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const title = 'reading captures of 10 M events';

const root = fileURLToPath(new URL('..', import.meta.url));
const runs = 7;

function compile(folder) {
  const { core_sources: sources } = JSON.parse(
    readFileSync(`${root}native/sources.gypi`, 'utf8'),
  ).variables;
  const program = join(folder, 'capture_bench');
  const flags = ['-O3', '-std=c++20', '-D_GNU_SOURCE', '-fno-omit-frame-pointer', '-pthread'];
  execFileSync(
    process.env.CXX ?? 'c++',
    [...flags, '-I', 'native', 'native/bench/capture_bench.cc', ...sources, '-ldl', '-o', program],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return (...args) => execFileSync(program, args.map(String), { encoding: 'utf8' });
}

const elapsedMs = (command, args) => {
  const start = performance.now();
  execFileSync(command, args, { stdio: 'ignore' });
  return performance.now() - start;
};

/** memray's own capture of as many events, and the times of its reader and its flamegraph. */
async function memray(context, folder, events) {
  const missing = await context.pythonHas('memray');
  if (missing.length > 0) {
    context.skip('memray', 'it is not installed');
    return null;
  }
  const capture = join(folder, 'memray.bin');
  const script = join(root, 'bench/memray_events.py');
  const python = (...args) => [context.pythonPath, ['-m', 'memray', ...args]];
  execFileSync(...python('run', '-q', '-f', '-o', capture, script, String(events)), {
    stdio: 'ignore',
  });
  const reads = [];
  for (let i = 0; i < 3; i++) reads.push(await context.python('memray_read.py', [capture]));
  const page = ['flamegraph', '-f', '-o', join(folder, 'memray.html'), capture];
  return {
    passMs: context.median(reads.map(({ passMs }) => passMs)),
    peakMs: context.median(reads.map(({ peakMs }) => peakMs)),
    pageMs: context.median([1, 2, 3].map(() => elapsedMs(...python(...page)))),
  };
}

function measure(context, bench, folder) {
  const times = (what, capture, field) =>
    context.median(Array.from({ length: runs }, () => JSON.parse(bench(what, capture))[field]));
  const capture = join(folder, 'ours.mdc');
  const cli = join(root, 'dist/cli.js');
  const page = ['flamegraph', '-f', capture];
  return {
    readMs: times('read', capture, 'readMs'),
    peakMs: times('peak', capture, 'peakMs'),
    ownBytes: times('peak', capture, 'ownBytes'),
    pageMs: context.median(
      Array.from({ length: runs }, () => elapsedMs(process.execPath, [cli, ...page])),
    ),
  };
}

export async function run(context) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const events = context.small ? 1_000_000 : 10_000_000;
  try {
    const bench = compile(folder);
    bench('write', join(folder, 'ours.mdc'), events);
    const ours = measure(context, bench, folder);
    const rival = await memray(context, folder, events);
    const row = (what, name, rivalName, atMost) =>
      context.row({
        what,
        ours: ours[name],
        rival: rival?.[rivalName] ?? null,
        rivalName: 'memray',
        unit: 'ms',
        budget: context.small || atMost === null ? null : { atMost },
      });
    row(`reading ${events} events alone`, 'readMs', 'passMs', 250);
    row('the stacks of the peak', 'peakMs', 'peakMs', 500);
    row('memdrift flamegraph, the whole command', 'pageMs', 'pageMs', null);
    context.row({
      what: 'memory for it, 100,000 blocks live',
      ours: ours.ownBytes / 1e6,
      rival: null,
      unit: 'MB',
      budget: { atMost: (64e6 + 100 * 100_000) / 1e6 },
    });
    if (context.small) return;
    const large = join(folder, 'large.mdc');
    bench('write', large, 10 * events);
    const largeMs = JSON.parse(bench('peak', large)).peakMs;
    context.row({
      what: 'the stacks of the peak of ten times as many',
      ours: largeMs,
      rival: ours.peakMs,
      rivalName: 'of 10 M',
      unit: 'ms',
      budget: 12,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
