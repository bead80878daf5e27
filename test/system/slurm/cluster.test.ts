import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { describeInSlurm, SlurmCluster } from './cluster.ts';

/** Commands of the processes that have the cluster's folder in their environment or arguments. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((entry) => {
      try {
        const [environment, command] = ['environ', 'cmdline'].map((file) =>
          readFileSync(join('/proc', entry, file), 'utf8'),
        ) as [string, string];
        return environment.includes(folder) || command.includes(folder) ? [command] : [];
      } catch {
        return [];
      }
    });
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); await sleep(50))
    if (Date.now() > end) throw new Error(`not within a minute: ${condition}`);
}

describeInSlurm(() => {
  let cluster: SlurmCluster | null = null;

  afterEach(() => cluster?.end());

  async function startWithJob(): Promise<SlurmCluster> {
    cluster = await SlurmCluster.start();
    await cluster.submit({
      nodes: 'plain',
      script: `touch /dev/shm/$(basename ${cluster.folder}).1; sleep 300`,
      memoryMb: 100,
    });
    const { folder } = cluster;
    await until(() => processesOf(folder).some((command) => command.startsWith('sleep')));
    return cluster;
  }

  test('nothing is left when it ends, also of a job that runs', async () => {
    const { folder } = await startWithJob();
    await cluster?.end();
    expect(existsSync(folder)).toBe(false);
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(`/dev/shm/${basename(folder)}.1`)).toBe(false);
  });

  test('what a killed holder left behind, the next start removes', async () => {
    const { folder, holderPid } = await startWithJob();
    process.kill(holderPid, 'SIGKILL');
    await until(() => !existsSync(`/proc/${holderPid}`));
    expect(processesOf(folder)).not.toEqual([]);
    execFileSync(join(import.meta.dirname, 'cluster.sh'), ['sweep'], { stdio: 'pipe' });
    expect(existsSync(folder)).toBe(false);
    expect(processesOf(folder)).toEqual([]);
    expect(dirname(folder)).toBe(tmpdir());
  });
});
