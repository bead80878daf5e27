/** What `memdrift watch` says that SLURM will say, against what it says, of the same job. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeInSlurm, type EndedJob, type NodeName, SlurmCluster } from './cluster.ts';

const cli = join(import.meta.dirname, '../../../dist/cli.js');
const jobs = join(import.meta.dirname, 'jobs');

type View = 'slurmDefault' | 'slurmNoShared' | 'slurmUsePss' | 'slurmCgroup';

interface Prediction {
  readonly processes: readonly { readonly isWatch: boolean; readonly inGroup: boolean }[];
  readonly views: Readonly<
    Record<View, { readonly peakBytes: number; readonly rangeBytes: readonly [number, number] }>
  >;
  readonly verdicts: readonly { readonly view: View; readonly kills: string }[];
}

/** A job, sacct's MaxRSS of it, and what was said of it in its node's way of counting. */
interface Watched {
  readonly job: EndedJob;
  readonly sacctBytes: number;
  readonly view: Prediction['views'][View];
  readonly kills: (view: View) => string | undefined;
  readonly processes: Prediction['processes'];
}

const run = promisify(execFile);
const MiB = 1 << 20;
const plenty = 4000 * MiB;

/** Its plateau lasts four of SLURM's periods. */
const shmJob = `python3 ${jobs}/shm_job.py --shared 200 --private 30 --hold 4`;
const forkJob = `python3 ${jobs}/shm_job.py --shared 0 --private 10 --parent-private 150 --hold 4`;
const experiment = [
  `${process.execPath} ${cli} experiment --clients 4 --array_size 20000000 --rounds 12`,
  '--obj_store_mem 800000000 --work-ms 500 --no-captures --quiet',
].join(' ');

const viewOf: Readonly<Record<NodeName, View>> = {
  plain: 'slurmDefault',
  second: 'slurmDefault',
  kill: 'slurmDefault',
  noshared: 'slurmNoShared',
  pss: 'slurmUsePss',
  psskill: 'slurmUsePss',
  cgroup: 'slurmCgroup',
};

describeInSlurm(() => {
  let cluster: SlurmCluster;
  let folder: string;
  let number = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'memdrift-predictions-'));
    cluster = await SlurmCluster.start();
  });

  afterAll(async () => {
    await cluster?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A job that is watched and ends well; verdicts are about `limitBytes`. */
  async function watched(node: NodeName, command: string, limitBytes = plenty): Promise<Watched> {
    const file = join(folder, `${number++}.json`);
    const watch = `${process.execPath} ${cli} watch --json ${file} --limit ${limitBytes}`;
    const memoryMb = Math.ceil(limitBytes / MiB);
    const job = await cluster.run({ nodes: node, memoryMb, script: `${watch} -- ${command}` });
    const batch = job.rows.get('.batch');
    expect(batch?.state, job.output).toBe('COMPLETED');
    const { views, verdicts, processes } = JSON.parse(readFileSync(file, 'utf8')) as Prediction;
    const kills = (name: View) => verdicts.find(({ view }) => view === name)?.kills;
    const sacctBytes = batch?.maxRssBytes as number;
    return { job, kills, processes, sacctBytes, view: views[viewOf[node]] };
  }

  function expectInRange({ sacctBytes, view, job }: Watched): void {
    expect(sacctBytes, job.output).toBeGreaterThanOrEqual(view.rangeBytes[0]);
    expect(sacctBytes, job.output).toBeLessThanOrEqual(view.rangeBytes[1]);
  }

  async function expectPrecise(node: NodeName, command: string): Promise<void> {
    const one = await watched(node, command);
    const off = Math.abs(one.sacctBytes / one.view.peakBytes - 1);
    expect(off, `${one.sacctBytes} of sacct\n${one.job.output}`).toBeLessThanOrEqual(0.005);
    expect(one.kills(viewOf[node])).toBe('no');
    const own = one.processes.filter(({ isWatch }) => isWatch);
    expect(own.map(({ inGroup }) => inGroup)).toEqual([true]);
  }

  describe('on a plateau', () => {
    test.concurrent.for([
      ['plain', 'shared memory', shmJob],
      ['noshared', 'shared memory', shmJob],
      ['cgroup', 'shared memory', shmJob],
      ['plain', 'copy-on-write', forkJob],
      ['noshared', 'copy-on-write', forkJob],
    ] as const)('sacct of node %s differs by 0.5 percent at most: %s', ([node, , command]) =>
      expectPrecise(node, command),
    );

    // One by one, and larger: PSS of a library changes by some MB whenever a process begins or ends
    // that has it as well, also outside of the job.
    test.for([
      ['shared memory', '--shared 500 --private 50 --hold 4'],
      ['copy-on-write', '--shared 0 --private 50 --parent-private 400 --hold 4'],
    ] as const)('sacct with UsePss differs by 0.5 percent at most: %s', ([, options]) =>
      expectPrecise('pss', `python3 ${jobs}/shm_job.py ${options}`),
    );
  });

  describe('in motion', () => {
    test.concurrent.for([
      ['plain', 'rotate'],
      ['noshared', 'rotate'],
      ['pss', 'rotate'],
      ['plain', 'rotate --trim'],
      ['pss', 'rotate --trim'],
    ] as const)('sacct of node %s is in the range: --placement %s', async ([node, placement]) => {
      const one = await watched(node, `${experiment} --placement ${placement}`);
      expectInRange(one);
    });
  });

  test('a job that runs is watched from outside, by its number', async () => {
    const id = await cluster.submit({ nodes: 'plain', script: shmJob, memoryMb: plenty / MiB });
    const file = join(folder, 'attached.json');
    const options = ['--slurm', String(id), '--slurm-frequency', '1', '--json', file];
    // The job is not on its node yet when it has its number.
    const attach = (): Promise<boolean> =>
      run(process.execPath, [cli, 'watch', ...options]).then(
        () => true,
        (error: Error) => {
          if (error.message.includes('no process of it')) return false;
          throw error;
        },
      );
    while (!(await attach())) await sleep(50);
    const job = await cluster.wait(id);
    const { views, processes } = JSON.parse(readFileSync(file, 'utf8')) as Prediction;
    const sacctBytes = job.rows.get('.batch')?.maxRssBytes as number;
    expect(Math.abs(sacctBytes / views.slurmDefault.peakBytes - 1)).toBeLessThanOrEqual(0.005);
    expect(processes.filter(({ isWatch, inGroup }) => isWatch && inGroup)).toEqual([]);
  });

  describe('with a limit', () => {
    const limitBytes = 700 * MiB;

    // Alone: segments of jobs beside it widen the bounds, which the system's counters cap.
    test('what kills by RSS is survived by PSS, as was said', async () => {
      const { kills } = await watched('psskill', shmJob, limitBytes);
      expect(kills('slurmDefault')).toBe('yes');
      expect(kills('slurmUsePss')).toBe('no');
    });

    test.concurrent('a job that is killed leaves a log that says by which view', async () => {
      const logs = join(folder, 'killed/');
      const watch = `${process.execPath} ${cli} watch --out ${logs} --limit ${limitBytes}`;
      const script = `mkdir ${logs}\n${watch} -- ${shmJob}`;
      const job = await cluster.run({ nodes: 'kill', memoryMb: limitBytes / MiB, script });
      expect(job.rows.get('.batch')?.state, job.output).toMatch(/^CANCELLED/);
      expect(job.output).toContain('exceeded memory limit');
      const highest = highestTotals(join(logs, readdirSync(logs)[0] as string));
      expect(highest('slurmDefault')).toBeGreaterThan(limitBytes);
      expect(highest('slurmNoShared')).toBeLessThan(limitBytes);
    });

    test.concurrent('the verdict is certain from 2 % of the limit on', async () => {
      const small = `python3 ${jobs}/shm_job.py --shared 80 --private 20 --hold 3`;
      const { sacctBytes } = await watched('plain', small);
      const verdictAt = async (part: number) => {
        const limit = Math.round(sacctBytes * part);
        return (await watched('plain', small, limit)).kills('slurmDefault');
      };
      const verdicts = await Promise.all([0.95, 0.995, 1.01, 1.05].map(verdictAt));
      expect(verdicts).toEqual(['yes', 'too-close', 'too-close', 'no']);
    });
  });
});

/** Of a watch's log, also of one that was cut: the highest of each total. */
function highestTotals(file: string): (name: string) => number {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  const [header, ...rest] = lines.map((line) => JSON.parse(line));
  return (name) => {
    const at = (header.totalFields as string[]).indexOf(name);
    const samples = rest.filter(({ type }) => type === 'sample');
    return Math.max(...samples.map(({ totals }) => totals[at] as number));
  };
}
