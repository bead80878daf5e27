// Checks the bounds that a watch has for PSS and USS of random programs, their widths, and how
// often they leave a verdict open. Each truth is read while the program is stopped: a reader of
// processes that run counts a page twice when its sharers part between two reads.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const title = 'bounds of random programs, beside an unbudgeted reader of smaps_rollup';

const here = fileURLToPath(new URL('.', import.meta.url));
const atOnce = 3;
const closeness = 0.02;

const tolerance = 8192; // Pss of a mapping is cut to kB

function isOutside([least, most], [low, high]) {
  return least < low - tolerance ? least - low : most > high + tolerance ? most - high : 0;
}

// Compares the truth of a stopped group with the samples made meanwhile.
function judgeLong({ samples, seed }, truth, found) {
  for (const one of samples) {
    if (one.atLeastMs < truth.fromMs || one.atMostMs > truth.toMs) continue;
    for (const field of ['pss', 'uss']) {
      found.compared++;
      const by = isOutside(truth[field], one[field].rangeBytes);
      if (by === 0) continue;
      const [low, high] = one[field].rangeBytes.map((bytes) => (bytes / 1e6).toFixed(2));
      const [least, most] = truth[field].map((bytes) => (bytes / 1e6).toFixed(2));
      found.outside.push(
        `seed ${seed}, ${one.atMs.toFixed(0)} ms: ${field} ${least} to ${most}, bounds ${low} to ` +
          `${high} (read at ${one.readAtMs?.toFixed(0)} ms), ${one.pids.length} processes`,
      );
    }
    const distance = Math.abs(truth.pss[0] / one.limitBytes - 1);
    if (distance < 0.1) continue;
    found.far++;
    const [low, high] = one.pss.rangeBytes;
    if (low < (1 + closeness) * one.limitBytes && high > (1 - closeness) * one.limitBytes)
      found.open++;
    if (high < (1 - closeness) * one.limitBytes && truth.pss[1] > one.limitBytes) found.wrong++;
    if (low > (1 + closeness) * one.limitBytes && truth.pss[0] < one.limitBytes) found.wrong++;
  }
}

// Compares a truth between two samples with their upper bound, unless a sample lacks a process.
function judgeShort({ samples, seed }, truth, found) {
  const next = samples.findIndex(({ atLeastMs }) => atLeastMs > truth.toMs);
  const [before, after] = [samples[next - 1], samples[next]];
  if (next < 1 || before.atMostMs > truth.fromMs || before.early !== after.early) return;
  if (truth.pids.some((pid) => !before.pids.includes(pid) || !after.pids.includes(pid))) return;
  found.compared++;
  const most = Math.max(after.pss.mostBetweenBytes, after.pss.rangeBytes[1]);
  if (truth.pss[0] <= most + tolerance) return;
  found.outside.push(
    `seed ${seed}, ${before.atMs.toFixed(0)} to ${after.atMs.toFixed(0)} ms: PSS ` +
      `${(truth.pss[0] / 1e6).toFixed(2)}, at most ${(most / 1e6).toFixed(2)}`,
  );
}

export function judge(all) {
  const found = { compared: 0, outside: [], wrong: 0, open: 0, far: 0, rest: [], motion: [] };
  for (const one of all) {
    for (const truth of one.truths) (truth.isLong ? judgeLong : judgeShort)(one, truth, found);
    for (const sample of one.samples) {
      if (sample.readAtMs === null || sample.pss.valueBytes < 1e6) continue;
      const [low, high] = sample.pss.rangeBytes;
      found[sample.isResting ? 'rest' : 'motion'].push((100 * (high - low)) / high);
    }
  }
  return found;
}

async function watched(seed, folder) {
  const args = [join(here, 'watched_program.mjs'), String(seed), folder];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 28 });
  return JSON.parse(stdout);
}

// Runs one program for each seed from `first`, `atOnce` at a time.
export async function watchPrograms(count, first = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const done = [];
  let next = first;
  const work = async () => {
    while (next < first + count) done.push(await watched(next++, folder));
  };
  try {
    execFileSync('cc', [
      '-O1',
      '-o',
      join(folder, 'random'),
      join(here, 'memory_programs/random.c'),
    ]);
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return done;
}

export async function run(context) {
  const count = Number(process.env.MEMDRIFT_BENCH_PROGRAMS ?? (context.small ? 12 : 200));
  const all = await watchPrograms(count, Number(process.env.MEMDRIFT_BENCH_SEED ?? 0));
  const found = judge(all);
  const row = (what, ours, unit, atMost) =>
    context.row({ what, ours, rival: null, unit, budget: { atMost } });
  row('truths outside of their bounds', found.outside.length, '', 0);
  row('verdicts that were wrong', found.wrong, '', 0);
  row('median width of PSS at rest', context.median(found.rest), '%', 5);
  row('median width of PSS in motion', context.median(found.motion), '%', 20);
  row('too close, more than 10 % from the limit', (100 * found.open) / found.far, '%', 10);
  context.text([`${count} programs, ${found.compared} truths`, ...found.outside].join('\n'));
  const dump = process.env.MEMDRIFT_BENCH_DUMP;
  if (dump) writeFileSync(dump, JSON.stringify(all));
}
