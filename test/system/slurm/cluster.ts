/** A real SLURM for tests: cluster.sh's, and the jobs that run in it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe } from 'vitest';

const run = promisify(execFile);
const script = join(import.meta.dirname, 'cluster.sh');

/** Tests in a SLURM. Where there is none it says so, once per file; with CI set they fail. */
export function describeInSlurm(tests: () => void): void {
  const missing = ['slurmctld', 'slurmdbd', 'munged', 'mariadbd'].filter(
    (daemon) => !existsSync(`/usr/sbin/${daemon}`),
  );
  if (missing.length === 0 || process.env.CI) describe('in SLURM', tests);
  else process.stderr.write(`not run: ${missing.join(', ')} not in /usr/sbin; see cluster.sh\n`);
}

/** The nodes of nodes.conf, by how they count. */
export type NodeName = 'plain' | 'second' | 'noshared' | 'pss' | 'kill' | 'psskill' | 'cgroup';

export interface JobRequest {
  readonly nodes: NodeName | readonly NodeName[];
  /** The batch script without its first line. */
  readonly script: string;
  readonly memoryMb: number;
  /** Whole seconds between two of SLURM's samples. */
  readonly periodSeconds?: number;
}

/** A row of sacct: the job, its batch script, or a step. */
export interface SacctRow {
  readonly state: string;
  readonly exitCode: string;
  readonly maxRssBytes: number | null;
}

export interface EndedJob {
  readonly id: number;
  readonly output: string;
  /** By what follows the job's number: '' for the job, '.batch', '.0'. */
  readonly rows: ReadonlyMap<string, SacctRow>;
}

const atWork = /^(PENDING|CONFIGURING|RUNNING|COMPLETING|)$/;

export class SlurmCluster {
  readonly folder: string;
  readonly #holder: ChildProcess;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #outputs = mkdtempSync(join(tmpdir(), 'memdrift-jobs-'));

  private constructor(holder: ChildProcess, folder: string) {
    this.#holder = holder;
    this.folder = folder;
    this.#environment = withoutSlurm({ SLURM_CONF: join(folder, 'etc/slurm.conf') });
  }

  static async start(): Promise<SlurmCluster> {
    const holder = spawn(script, ['hold'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines: string[] = [];
    for await (const line of createInterface({ input: holder.stdout })) {
      if (line === 'ready') return new SlurmCluster(holder, lines[0] as string);
      lines.push(line);
    }
    throw new Error(`${script} did not start a SLURM; what it said is above`);
  }

  /** The process whose end is the end of the cluster. */
  get holderPid(): number {
    return this.#holder.pid as number;
  }

  async end(): Promise<void> {
    rmSync(this.#outputs, { recursive: true, force: true });
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await ended;
  }

  /** A command of SLURM's. */
  async ask(command: string, ...args: readonly string[]): Promise<string> {
    return (await run(command, [...args], { env: this.#environment })).stdout;
  }

  async submit({ nodes, script, memoryMb, periodSeconds = 1 }: JobRequest): Promise<number> {
    const names = typeof nodes === 'string' ? [nodes] : nodes;
    const options = [
      '--parsable',
      `--nodelist=${names.join(',')}`,
      `--nodes=${names.length}`,
      `--mem=${memoryMb}M`,
      `--acctg-freq=task=${periodSeconds}`,
      '--time=5',
      `--output=${this.#outputs}/%j`,
    ];
    const sbatch = spawn('sbatch', options, {
      env: this.#environment,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    sbatch.stdin.end(`#!/bin/bash\n${script}\n`);
    const answer = await new Promise<string>((resolve) => {
      sbatch.stdout
        .setEncoding('utf8')
        .once('data', resolve)
        .once('end', () => resolve(''));
    });
    if (!/^\d+\n/.test(answer)) throw new Error(`sbatch ${options.join(' ')} said '${answer}'`);
    return Number.parseInt(answer, 10);
  }

  /** The job's rows once the accounting has its end; one that goes on for `seconds` is ended. */
  async wait(id: number, seconds = 120): Promise<EndedJob> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(300)) {
      const rows = await this.#rows(id);
      const states = [...rows.values()].map(({ state }) => state);
      if (rows.has('.batch') && !states.some((state) => atWork.test(state)))
        return { id, output: this.#output(id), rows };
    }
    await this.ask('scancel', String(id));
    throw new Error(`job ${id} did not end in ${seconds} s; it said:\n${this.#output(id)}`);
  }

  async run(request: JobRequest): Promise<EndedJob> {
    return this.wait(await this.submit(request));
  }

  #output(id: number): string {
    const file = join(this.#outputs, String(id));
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  async #rows(id: number): Promise<Map<string, SacctRow>> {
    const format = '--format=JobID,State,ExitCode,MaxRSS';
    const text = await this.ask('sacct', '-j', String(id), '-n', '-P', '--noconvert', format);
    return new Map(
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [name = '', state = '', exitCode = '', maxRss = ''] = line.split('|');
          const maxRssBytes = maxRss === '' ? null : Number(maxRss);
          return [name.replace(/^\d+/, ''), { state, exitCode, maxRssBytes }];
        }),
    );
  }
}

/** Our environment without what says that we are a job ourselves. */
function withoutSlurm(more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('SLURM'));
  return { ...Object.fromEntries(ours), ...more };
}
