// Stops the processes of one process group, so that their memory can be read at one instant.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, state, group: Number(group) };
  } catch {
    return null; // it has ended
  }
}

export function membersOf(group) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((one) => one?.group === group && !'ZX'.includes(one.state));
}

// A fork under way may add a child late: the group counts as stopped after two quiet lists.
async function stopped(group) {
  for (let quiet = 0; quiet < 2; ) {
    const members = membersOf(group);
    if (members.length === 0) return [];
    if (members.every(({ state }) => state === 'T')) {
      if (++quiet === 2) return members.map(({ pid }) => pid);
      continue;
    }
    quiet = 0;
    signal(group, 'SIGSTOP');
    await sleep(1);
  }
}

export function signal(group, name) {
  try {
    process.kill(-group, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

// Reads Pss and USS of one process from smaps_rollup, which cuts them to kB.
export function shareOf(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (name) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
  return { pss: bytes('Pss'), uss: bytes('Private_Clean') + bytes('Private_Dirty') };
}

function sumsOf(pids) {
  const sums = { pss: 0, uss: 0 };
  for (const pid of pids) {
    const { pss, uss } = shareOf(pid);
    sums.pss += pss;
    sums.uss += uss;
  }
  return sums;
}

// Reads the stopped group's sums twice, since processes outside map the same files, and continues
// it after awaiting `then`. Null when no process of the group is left.
export async function whileStopped(group, then) {
  try {
    const pids = await stopped(group);
    if (pids.length === 0) return null;
    const fromMs = performance.now();
    const first = sumsOf(pids);
    await then();
    const last = sumsOf(pids);
    const between = (field) => [
      Math.min(first[field], last[field]),
      Math.max(first[field], last[field]) + 1024 * pids.length,
    ];
    return { fromMs, toMs: performance.now(), pids, pss: between('pss'), uss: between('uss') };
  } finally {
    signal(group, 'SIGCONT');
  }
}
