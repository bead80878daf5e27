/** Which processes a watch that attaches begins from. */
import { readdirSync, readFileSync } from 'node:fs';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { readCgroupProcesses } from '../proc/cgroup.ts';
import { readCounters } from '../proc/counters.ts';

export interface Targets {
  readonly pids?: readonly number[] | undefined;
  readonly cgroup?: string | undefined;
  /** A job's number. */
  readonly slurm?: string | undefined;
}

/**
 * Gives what finds them, now and whenever it is called again; none where there are none (any more).
 * @throws MemdriftError ERR_GONE, ERR_INVALID, ERR_DENIED
 */
export function targetsOf({ pids, cgroup, slurm }: Targets): () => number[] {
  if (pids !== undefined) {
    for (const pid of pids) readCounters(pid);
    return () => [...pids];
  }
  if (cgroup !== undefined) return cgroupFinder(cgroup);
  if (slurm === undefined || !/^\d+$/.test(slurm))
    throw new MemdriftError('ERR_INVALID', `--slurm "${slurm}" is not the number of a job.`);
  return () => tasksOf(slurm);
}

function cgroupFinder(path: string): () => number[] {
  const find = (): number[] => [...readCgroupProcesses(path).pids];
  find();
  return () => {
    try {
      return find();
    } catch (error) {
      // It may be removed before the watch ends.
      if (isMemdriftError(error, 'ERR_GONE')) return [];
      throw error;
    }
  };
}

/** Children of the slurmstepds of a job, which have the job's number in their command line. */
function tasksOf(jobId: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map<number, number>();
  const steps = new Set<number>();
  for (const name of pids) {
    try {
      const { pid, parentPid, name: comm } = readCounters(Number(name));
      parents.set(pid, parentPid);
      if (comm === 'slurmstepd' && isStepOf(pid, jobId)) steps.add(pid);
    } catch (error) {
      if (!isMemdriftError(error)) throw error;
    }
  }
  return [...parents].filter(([, parent]) => steps.has(parent)).map(([pid]) => pid);
}

function isStepOf(pid: number, jobId: string): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    // The step that holds the job's place has no task.
    return text.startsWith(`slurmstepd: [${jobId}.`) && !text.includes('.extern]');
  } catch {
    return false;
  }
}
