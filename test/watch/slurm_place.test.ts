import { describe, expect, test } from 'vitest';
import { parseSlurmConfig, slurmPlace, taskOf } from '../../src/watch/slurm_place.ts';
import { Children } from '../children.ts';

describe('parseSlurmConfig', () => {
  test.each([
    ['JobAcctGatherFrequency=30', 30_000],
    ['JobAcctGatherFrequency=task=5', 5000],
    ['jobacctgatherfrequency = network=10,task=7 # often', 7000],
    ['JobAcctGatherFrequency=1\nJobAcctGatherFrequency=2', 2000],
    ['JobAcctGatherFrequency=0', 0],
    ['# JobAcctGatherFrequency=9', null],
    ['', null],
  ])('%j', (text, frequencyMs) => {
    expect(parseSlurmConfig(text).frequencyMs).toBe(frequencyMs);
  });

  test('has how processes are tracked', () => {
    expect(parseSlurmConfig('ProctrackType=proctrack/linuxproc').proctrack).toBe('linuxproc');
    expect(parseSlurmConfig('PROCTRACKTYPE=proctrack/cgroup').proctrack).toBe('cgroup');
    expect(parseSlurmConfig('ProctrackType=proctrack/other').proctrack).toBeNull();
  });
});

describe('slurmPlace', () => {
  test('is null outside of a job', () => {
    expect(slurmPlace({ PATH: '/bin' })).toBeNull();
  });

  test('has what the environment says, null for the rest', () => {
    expect(slurmPlace({ SLURM_JOB_ID: '7', SLURM_NODEID: '1' })).toEqual({
      jobId: '7',
      stepId: null,
      nodeId: '1',
      nodeName: null,
      procId: null,
      taskPid: null,
    });
  });
});

describe('taskOf', () => {
  const children = new Children();

  test('is the topmost process below slurmstepd', async () => {
    // A shell that calls itself as SLURM's daemon does, with a task that has a child.
    const task = 'echo ready; echo $$; sh -c "$LEAF"; :';
    const script = `printf slurmstepd > /proc/$$/comm; sh -c '${task}'; :`;
    const leaf = 'LEAF=echo $$; read x';
    const step = await children.run('env', [leaf, 'sh', '-c', script]);
    const [taskPid, leafPid] = [Number(await step.line()), Number(await step.line())];
    expect(taskOf(leafPid)).toBe(taskPid);
    expect(taskOf(taskPid)).toBe(taskPid);
    process.kill(leafPid);
    await children.endAll();
  });

  test('is null where no ancestor is one', () => {
    expect(taskOf(process.pid)).toBeNull();
  });
});
