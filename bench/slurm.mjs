// The experiment as a real SLURM job: what sacct calls its MaxRSS, beside what it used and beside
// what `memdrift watch`, in the same job, said that sacct would call it.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const title = 'the experiment in SLURM';

const execute = promisify(execFile);
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const clusterScript = fileURLToPath(new URL('../test/system/slurm/cluster.sh', import.meta.url));

/** A node of the cluster, and the view of watch that stands for how it counts. */
const nodes = { plain: 'slurmDefault', pss: 'slurmUsePss' };

async function startCluster() {
  const holder = spawn(clusterScript, ['hold'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = [];
  for await (const line of createInterface({ input: holder.stdout })) {
    if (line === 'ready') return { holder, env: environmentOf(lines[0]) };
    lines.push(line);
  }
  throw new Error(`${clusterScript} did not start a SLURM; what it said is above`);
}

function environmentOf(folder) {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('SLURM'));
  return { ...Object.fromEntries(ours), SLURM_CONF: join(folder, 'etc/slurm.conf') };
}

/** One job: the report of the experiment, the report of the watch, and sacct's MaxRSS in bytes. */
async function runJob({ env, folder, node, flags }) {
  const [report, watch, output] = ['report', 'watch', 'output'].map((name) =>
    join(folder, `${node}-${name}`),
  );
  const experiment = `experiment --no-captures --quiet --json ${report} ${flags.join(' ')}`;
  const command = [process.execPath, cli, 'watch', '--json', watch, '--', process.execPath, cli];
  const options = ['--parsable', `--nodelist=${node}`, '--mem=16G', `--output=${output}`];
  const wrapped = ['--wrap', `exec ${command.join(' ')} ${experiment}`];
  const id = (await execute('sbatch', [...options, ...wrapped], { env })).stdout.trim();
  const query = ['-j', `${id}.batch`, '-n', '-P', '--noconvert', '--format=State,MaxRSS'];
  for (const end = Date.now() + 600_000; Date.now() < end; await sleep(500)) {
    const [state, maxRss] = (await execute('sacct', query, { env })).stdout.trim().split('|');
    if (state === 'COMPLETED') {
      const [ours, views] = [report, watch].map((file) => JSON.parse(readFileSync(file, 'utf8')));
      return { report: ours, watch: views, sacctBytes: Number(maxRss) };
    }
    if (!/^(PENDING|RUNNING|COMPLETING|)$/.test(state))
      throw new Error(`job ${id} ended as ${state}: ${readFileSync(output, 'utf8')}`);
  }
  throw new Error(`job ${id} did not end in 10 minutes`);
}

const megabytes = (bytes) => Math.round(bytes / 1e6).toLocaleString('en-US');

export async function run(context) {
  if (!existsSync('/usr/sbin/slurmctld'))
    return context.skip(title, 'no SLURM: apt-get install slurm-wlm slurmdbd mariadb-server munge');
  const small = ['--clients', '3', '--rounds', '3', '--array_size', '20000000'];
  const cluster = await startCluster();
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-slurm-'));
  const lines = [
    '| job | sum of RSS | sum of PSS | footprint | MaxRSS | MaxRSS, UsePss |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  try {
    for (const flags of [
      ['--placement', 'rotate'],
      ['--placement', 'rotate', '--trim'],
    ]) {
      const results = {};
      for (const [node, view] of Object.entries(nodes)) {
        const all = [...flags, ...(context.small ? small : [])];
        const one = await runJob({ env: cluster.env, folder, node, flags: all });
        results[node] = one;
        const { peakBytes, rangeBytes } = one.watch.views[view];
        context.row({
          what: `${flags.join(' ')}: ${view}`,
          ours: peakBytes / 1e6,
          rival: one.sacctBytes / 1e6,
          rivalName: 'sacct',
          unit: 'MB',
          note: `watch says between ${rangeBytes.map(megabytes).join(' and ')}`,
        });
      }
      const { totals, footprint } = results.plain.report;
      const cells = [totals.rssBytes, totals.pssBytes, footprint.peakBytes];
      cells.push(results.plain.sacctBytes, results.pss.sacctBytes);
      lines.push(`| \`${flags.join(' ')}\` | ${cells.map(megabytes).join(' | ')} |`);
    }
    context.text(`In MB; MaxRSS with UsePss is of a second run.\n\n${lines.join('\n')}`);
  } finally {
    cluster.holder.stdin.end();
    await new Promise((resolve) => cluster.holder.once('exit', resolve));
    rmSync(folder, { recursive: true });
  }
}
