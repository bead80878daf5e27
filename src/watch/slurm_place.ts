/** Where in a SLURM job a process is: from its environment, and from who its ancestors are. */
import { readFileSync } from 'node:fs';
import { isMemdriftError } from '../errors.ts';
import { readCounters } from '../proc/counters.ts';
import type { Proctrack, SlurmPlace } from './watch_model.ts';

/** Null: `environment` is not that of a job. */
export function slurmPlace(environment: NodeJS.ProcessEnv, pid = process.pid): SlurmPlace | null {
  const {
    SLURM_JOB_ID: jobId,
    SLURM_STEP_ID: stepId,
    SLURM_NODEID: nodeId,
    SLURMD_NODENAME: nodeName,
    SLURM_PROCID: procId,
  } = environment;
  if (jobId === undefined) return null;
  return {
    jobId,
    stepId: stepId ?? null,
    nodeId: nodeId ?? null,
    nodeName: nodeName ?? null,
    procId: procId ?? null,
    taskPid: taskOf(pid),
  };
}

/** The topmost ancestor below slurmstepd, which is what SLURM starts to count at. */
export function taskOf(pid: number): number | null {
  try {
    for (let at = readCounters(pid); at.parentPid > 1; ) {
      const parent = readCounters(at.parentPid);
      if (parent.name === 'slurmstepd') return at.pid;
      at = parent;
    }
  } catch (error) {
    // An ancestor ended, or /proc hides those of other users.
    if (!isMemdriftError(error)) throw error;
  }
  return null;
}

/** What slurm.conf says of how memory is counted; each null where it does not. */
export interface SlurmConfig {
  readonly frequencyMs: number | null;
  readonly proctrack: Proctrack | null;
}

/** From SLURM_CONF or the usual place; all null where that cannot be read. */
export function slurmConfig(environment: NodeJS.ProcessEnv): SlurmConfig {
  try {
    return parseSlurmConfig(
      readFileSync(environment.SLURM_CONF ?? '/etc/slurm/slurm.conf', 'utf8'),
    );
  } catch {
    return { frequencyMs: null, proctrack: null };
  }
}

/** As slurm.conf has them: names in any case, the last of several lines counts. */
export function parseSlurmConfig(text: string): SlurmConfig {
  const settingOf = (name: string): string | null => {
    const lines = text.matchAll(new RegExp(`^\\s*${name}\\s*=\\s*([^#\\s]+)`, 'gim'));
    return [...lines].at(-1)?.[1] ?? null;
  };
  const frequency = settingOf('JobAcctGatherFrequency');
  // A number is that of tasks; else it is one of several TYPE=NUMBER.
  const seconds = /^(?:.*,)?(?:task=)?(\d+)(?:,.*)?$/i.exec(frequency ?? '')?.[1];
  const proctrack = /^proctrack\/(cgroup|linuxproc|pgid)$/i.exec(settingOf('ProctrackType') ?? '');
  return {
    frequencyMs: seconds === undefined ? null : Number(seconds) * 1000,
    proctrack: (proctrack?.[1]?.toLowerCase() as Proctrack | undefined) ?? null,
  };
}
