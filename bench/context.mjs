// What a bench is given: ways to measure, ways to ask a rival, and rows to say what came out.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const benchFolder = fileURLToPath(new URL('.', import.meta.url));
const pythonPath = process.env.MEMDRIFT_BENCH_PYTHON ?? 'python3';

export function median(values) {
  if (values.length === 0) throw new Error('a median of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function measured(fn) {
  const start = process.hrtime.bigint();
  const result = await fn();
  const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6;
  return typeof result === 'number' ? result : elapsedMs;
}

async function medianOf(runs, fn, { warmups = 1 } = {}) {
  for (let i = 0; i < warmups; i++) await fn();
  const values = [];
  for (let i = 0; i < runs; i++) values.push(await measured(fn));
  return median(values);
}

async function alternate(runs, { ours, rival, warmups = 1 }) {
  const values = { ours: [], rival: [] };
  for (let i = -warmups; i < runs; i++) {
    const pair = { ours: await measured(ours), rival: await measured(rival) };
    if (i < 0) continue;
    values.ours.push(pair.ours);
    values.rival.push(pair.rival);
  }
  return { ours: median(values.ours), rival: median(values.rival) };
}

async function python(script, args = [], { timeoutMs = 600_000 } = {}) {
  const file = script.startsWith('-') ? [script, ...args] : [benchFolder + script, ...args];
  const { stdout } = await execute(pythonPath, file.map(String), {
    timeout: timeoutMs,
    maxBuffer: 1 << 28,
  });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1));
}

async function pythonHas(...modules) {
  const probe = `import importlib.util as u, json, sys
print(json.dumps([m for m in sys.argv[1:] if u.find_spec(m) is None]))`;
  try {
    return await python('-c', [probe, ...modules]);
  } catch {
    return modules;
  }
}

/** ours / rival, whether that is within `budget` (null: nothing to judge), the budget in words. */
export function judge({ ours, rival, lowerIsBetter = true, budget }) {
  const known = typeof ours === 'number' && typeof rival === 'number' && rival !== 0;
  const ratio = known ? ours / rival : null;
  if (budget === undefined || budget === null) return { ratio, within: null, bound: '' };
  if (typeof budget === 'number') {
    const within = ratio === null ? null : lowerIsBetter ? ratio <= budget : ratio >= budget;
    return { ratio, within, bound: `${lowerIsBetter ? '≤' : '≥'} ${budget} x` };
  }
  const most = budget.atMost ?? Number.POSITIVE_INFINITY;
  const least = budget.atLeast ?? Number.NEGATIVE_INFINITY;
  const within = typeof ours === 'number' ? ours <= most && ours >= least : null;
  return { ratio, within, bound: budget.atMost === undefined ? `≥ ${least}` : `≤ ${most}` };
}

/** The context of one bench; `rows` and `texts` fill as it runs. */
export function createContext({ small = false } = {}) {
  const rows = [];
  const texts = [];
  return {
    small,
    rows,
    texts,
    row: (row) => rows.push({ ...row, ...judge(row) }),
    skip: (what, why) => rows.push({ what, skipped: why }),
    text: (text) => texts.push(text),
    medianOf,
    alternate,
    median,
    python,
    pythonHas,
    pythonPath,
  };
}
