// What `memdrift top` costs on a terminal of 140 x 55 that shows 50 Node processes twice a second,
// a fifth of which allocate and free: CPU time of its whole process, that is the sampler's thread,
// the event loop and what is written, without the start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readCounters } from '../dist/index.js';

export const title = 'memdrift top: 50 Node processes, twice a second';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const processCount = 50;
const startMs = 10_000;
const msPerTick = 10;

const memberScript = `
  const isBusy = Number(process.argv[1]) % 5 === 0;
  let held;
  if (isBusy) setInterval(() => { held = Buffer.alloc(Math.random() * 4e6, 1); }, 500);
  else setInterval(() => {}, 1000);
  process.stdin.resume().on('end', () => process.exit());
`;
const parentScript = `
  const { spawn } = require('node:child_process');
  for (let i = 1; i < ${processCount}; i++)
    spawn(process.execPath, ['-e', ${JSON.stringify(memberScript)}, String(i)],
      { stdio: ['pipe', 'inherit', 'inherit'] });
  console.log('ready');
  process.stdin.resume().on('end', () => process.exit());
`;

function cpuMs(pid) {
  const { userTicks, systemTicks } = readCounters(pid);
  return (userTicks + systemTicks) * msPerTick;
}

/** The process that `script` started, which has become `memdrift top`. */
function childOf(parent) {
  return Number(
    readdirSync('/proc').find((name) => {
      if (!/^\d+$/.test(name)) return false;
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').includes(`) S ${parent} `);
      } catch {
        return false;
      }
    }),
  );
}

export async function run(context) {
  const seconds = context.small ? 5 : 60;
  const group = spawn(process.execPath, ['-e', parentScript], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(group.stdout, 'data');
  const command = `stty cols 140 rows 55; exec '${process.execPath}' '${cli}' top ${group.pid}`;
  const terminal = spawn('script', ['-qfc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let written = 0;
  terminal.stdout.on('data', (data) => {
    written += data.length;
  });
  try {
    await sleep(startMs);
    const pid = childOf(terminal.pid);
    const [before, writtenBefore] = [cpuMs(pid), written];
    await sleep(seconds * 1000);
    const spent = cpuMs(pid) - before;
    const looks = seconds * 2;
    context.row({
      what: `CPU time over ${seconds} s`,
      ours: (100 * spent) / 1000 / seconds,
      unit: '% of a core',
      budget: { atMost: 1 },
      note: `${(spent / looks).toFixed(1)} ms a look`,
    });
    const kB = (written - writtenBefore) / looks / 1000;
    context.row({ what: 'written to the terminal a look', ours: kB, unit: 'kB' });
  } finally {
    const ended = [once(terminal, 'exit'), once(group, 'exit')];
    terminal.stdin.write('q');
    group.stdin.end();
    await Promise.all(ended);
  }
}
