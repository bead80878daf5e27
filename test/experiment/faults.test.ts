import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { childrenOf, eventually, isAlive, launch, segmentsOfRun, smallRun } from './launch.ts';

const longRun = [...smallRun, '--rounds=2000', '--work-ms=10'];

/** The processes of a run once all of them work. */
async function workingProcesses(main: number): Promise<{ server: number; clients: number[] }> {
  const pids = await eventually('four children', () => {
    const children = childrenOf(main);
    return children.length === 4 ? children : null;
  });
  const store = await openStoreOf(main);
  await eventually('arrays in the store', () => store.stats().puts > 100);
  store.close();
  const [server = 0, ...clients] = pids;
  return { server, clients };
}

async function openStoreOf(main: number): Promise<Store> {
  const file = await eventually('the store', () =>
    segmentsOfRun(main).find((name) => !name.endsWith('.flag')),
  );
  return Store.open(file.replace(/^memdrift\./, ''), { readOnly: true });
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

describe('a run in which something goes wrong', { timeout: 120_000 }, () => {
  it('fails when one byte of one array is flipped', async () => {
    const { child, ended } = launch(longRun);
    const main = child.pid ?? 0;
    const { clients } = await workingProcesses(main);
    // Stopped, a client cannot have checked the array that the server makes for it next.
    const victim = clients[random(clients.length)] ?? 0;
    process.kill(victim, 'SIGSTOP');
    const store = await openStoreOf(main);
    let before = new Set<number>();
    const object = await eventually('an array that nobody has checked', () => {
      const waits = store.list().filter((one) => one.state === 'sealed' && !one.holders.length);
      // Seen twice: one that is seen once may have been checked and be on its way out.
      const found = waits.find((one) => before.has(one.id));
      before = new Set(waits.map((one) => one.id));
      if (found === undefined) {
        // It was stopped while it checked or filled an array, and the server waits for that one.
        process.kill(victim, 'SIGCONT');
        process.kill(victim, 'SIGSTOP');
      }
      return found;
    });
    flipByte(store.path, object.fileOffsetBytes + random(object.sizeBytes));
    store.close();
    process.kill(victim, 'SIGCONT');
    const { code, report } = await ended;
    expect(code).toBe(1);
    expect(report?.completed).toBe(false);
    expect(report?.error?.code).toBe('ERR_CHECK');
    expect(report?.error?.message).toMatch(/byte \d+ of 300001 is wrong/);
  });

  it.each(['a client', 'the server'])('names %s when it is killed', async (who) => {
    const { child, ended } = launch(longRun);
    const main = child.pid ?? 0;
    const { server, clients } = await workingProcesses(main);
    const victim = who === 'the server' ? server : (clients[1] ?? 0);
    process.kill(victim, 'SIGKILL');
    const { code, report, stderr } = await ended;
    expect(code).toBe(1);
    expect(report?.completed).toBe(false);
    const label = who === 'the server' ? 'Server' : 'Client 1';
    expect(report?.error).toEqual({
      code: 'ERR_DIED',
      message: `${label} (pid ${victim}) was killed by SIGKILL`,
    });
    expect(stderr).toContain(label);
    expect(report?.arraysChecked).toBeGreaterThan(0);
    expect(segmentsOfRun(main)).toEqual([]);
    expect([server, ...clients].filter(isAlive)).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends in order at %s', async (signal, exitCode) => {
    const { child, ended } = launch(longRun);
    const main = child.pid ?? 0;
    const { server, clients } = await workingProcesses(main);
    process.kill(main, signal);
    const { code, report } = await ended;
    expect(code).toBe(exitCode);
    expect(report?.error?.code).toBe('ERR_INTERRUPTED');
    expect(segmentsOfRun(main)).toEqual([]);
    expect([server, ...clients].filter(isAlive)).toEqual([]);
  });

  it('ends with a message that says how far it came when the time is over', async () => {
    const { code, report } = await launch([...longRun, '--timeout=2']).ended;
    expect(code).toBe(1);
    expect(report?.error?.code).toBe('ERR_TIMEOUT');
    expect(report?.error?.message).toMatch(/of 6000 rounds/);
  });

  it('leaves nothing after kill -9 of any process at 20 random moments', async () => {
    for (let round = 0; round < 20; round++) await killAtRandomMoment(round);
  }, 120_000);

  it('sweeps at the next start what a run left that was killed as a whole', async () => {
    const { child, ended } = launch(longRun);
    const main = child.pid ?? 0;
    const { server, clients } = await workingProcesses(main);
    const all = [main, server, ...clients];
    for (const pid of all) process.kill(pid, 'SIGSTOP');
    for (const pid of all) process.kill(pid, 'SIGKILL');
    await ended;
    await eventually('their end', () => all.every((pid) => !isAlive(pid)));
    expect(segmentsOfRun(main).length).toBeGreaterThan(0);
    const bystander = launch(longRun);
    const bystanderMain = bystander.child.pid ?? 0;
    await workingProcesses(bystanderMain);
    expect(segmentsOfRun(main)).toEqual([]);
    // A sweep takes what is dead only: another run's segments stay through the start of a third.
    const before = segmentsOfRun(bystanderMain);
    expect((await launch(smallRun).ended).code).toBe(0);
    expect(segmentsOfRun(bystanderMain)).toEqual(before);
    process.kill(bystanderMain, 'SIGTERM');
    await bystander.ended;
  });
});

/** Kills the server, a client or main, at any moment from the start on; the rest must clean up. */
async function killAtRandomMoment(round: number): Promise<void> {
  const { child, ended } = launch(longRun);
  const main = child.pid ?? 0;
  const children = await eventually('a child', () => {
    const pids = childrenOf(main);
    return pids.length > random(4) ? pids : null;
  });
  await new Promise((resolve) => setTimeout(resolve, random(600)));
  const everybody = new Set([...children, ...childrenOf(main)]);
  const victim = round % 3 === 0 ? main : ([...everybody][random(everybody.size)] ?? main);
  process.kill(victim, 'SIGKILL');
  await ended;
  const gone = () => [...everybody].every((pid) => !isAlive(pid));
  await eventually(`the end of the survivors of ${victim} in round ${round}`, gone, 2000);
  // Main may have started one more while it was killed, which then is the last one out.
  const clean = () => !readdirSync('/dev/shm').some((name) => name.includes(`-${main}-`));
  await eventually(`nothing of ${main} in /dev/shm, victim ${victim}, round ${round}`, clean, 2000);
}

function flipByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 0x40;
  writeSync(file, byte, 0, 1, offset);
  closeSync(file);
}
