/** Programs that surprise a guest in their process run as without us. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { captureText, readCaptureStats } from '../../src/capture/capture.ts';
import { trackedEnvironment } from '../../src/tracker/launch.ts';
import { GroundTruth, type Run, type RunOptions } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());
process.env.UNRULY = truth.addonOf('unruly.c');

const prelude = 'const unruly = require(process.env.UNRULY);';

/** Runs `code` with and without the tracker, and expects the same of both. */
async function runBoth(code: string, options: RunOptions = {}): Promise<Run> {
  const text = `${prelude}${code}`;
  const plain = spawnSync(process.execPath, [...(options.node ?? []), '-e', text], {
    env: { ...truth.environment, ...options.env },
    encoding: 'utf8',
  });
  const flags = [...(options.flags ?? []), '-e', text];
  const run = await truth.run('', { ...options, flags });
  const status = plain.status ?? 128 + constants.signals[plain.signal as NodeJS.Signals];
  expect([run.stdout, run.code]).toEqual([plain.stdout, status]);
  return run;
}

/**
 * Expects that the tracker printed only the capture's place, and that the capture is whole. A case
 * that starts /bin/true may also list it, where one lived until the writer looked.
 */
async function expectWhole(run: Run): Promise<void> {
  expect(run.stderr).toMatch(
    /^memdrift: captures in .*\n(memdrift: peak RSS, at least, .*: true \d.*\n)?$/,
  );
  const [capture = ''] = run.captures;
  expect((await readCaptureStats(capture)).damage).toBeNull();
}

const recording: [string, readonly string[]][] = [
  ['all', []],
  ['samples', ['--sample-bytes', '65536']],
];

describe.each(recording)('recording %s, output and exit code are the same', (_name, flags) => {
  const cases: Record<string, string> = {
    'handlers that allocate': 'unruly.startTimer(0); work(); print(unruly.stopTimer());',
    'such handlers on a stack of their own':
      'unruly.startTimer(1); work(); print(unruly.stopTimer());',
    'threads with the smallest stack': 'print(unruly.threads(200, 16384));',
    'contexts that the program switches': 'print(unruly.contexts(300));',
    'fork and allocate': 'print(unruly.forkAndAllocate());',
    vfork: 'for (let i = 0; i < 50; i++) print(unruly.vforkAndRun());',
    'a child in the same memory':
      'for (let i = 0; i < 50; i++) print(unruly.shareMemoryWithChild());',
    'jumps out of signal handlers': 'print(unruly.jumps(300, 0));',
    'jumps out of handlers on a stack of their own': 'print(unruly.jumps(300, 1));',
    'longjmp past allocations': 'print(unruly.longJumps(20000));',
    'many short threads': 'for (let i = 0; i < 40; i++) print(unruly.threads(50));',
  };
  test.each(Object.entries(cases))('of %s', async (_what, code) => {
    const helpers = `const print = (...values) => console.log(...values);
      function work() {
        const end = Date.now() + 300;
        for (let all = []; Date.now() < end; all = all.length > 500 ? [] : all)
          all.push(Buffer.alloc(5000));
      }`;
    await expectWhole(await runBoth(`${helpers}${code}`, { flags }));
  });
});

test('ends in a child of fork() that calls exit()', async () => {
  const env = { NODE_OPTIONS: `--require "${process.env.UNRULY}"` };
  const run = await runBoth('console.log(unruly.forkAndExit())', { env });
  expect(run.stdout).toBe('5\n');
  await expectWhole(run);
});

test('ends when threads never return from handlers', async () => {
  const run = await runBoth('console.log(unruly.staysInHandlers(8)); process.exit(4)');
  await expectWhole(run);
});

test('keeps no memory for records in a child of bare clone(2)', async () => {
  const run = await runBoth('console.log(unruly.bareFork(1_000_000) < 8000)');
  expect(run.stdout).toBe('true\n');
});

test('counts records of threads beyond its room as lost', async () => {
  const run = await runBoth('console.log(unruly.threadsAtOnce(8800) > 0)');
  const stats = await readCaptureStats(run.captures[0] ?? '');
  expect(stats.droppedRecords).toBeGreaterThan(400);
});

/**
 * System call numbers of x86-64, which the tracker makes and most programs do not. Node 24 and
 * later call openat() at times themselves.
 */
const calls: [string, number][] = [
  ['membarrier', 324],
  ['tgkill', 234],
  ['process_vm_readv', 310],
  ['gettid', 186],
  ['pread64', 17],
  ['pwrite64', 18],
  ['unlink', 87],
  ['statx', 332],
  ['shutdown', 48],
  ['prctl', 157],
  ['clone3', 435],
];
/** SECCOMP_RET_KILL_PROCESS and SECCOMP_RET_ERRNO with EPERM. */
const [kill, refuse] = [0x80000000, 0x50001];
const mount = 165;

/** How a filter is installed: for all threads, and by which function of unruly.c. */
const ways = {
  syscall: 'true, 0',
  'syscall for one thread': 'false, 0',
  prctl: 'false, 1',
  'a bare instruction': 'true, 2',
  'syscall(SYS_prctl)': 'false, 3',
};

/** Works for 0.1 s, forbids a call. */
function forbidding(call: number, action: number, way: keyof typeof ways): string {
  // Node itself opens a file for its first output.
  return `
    console.log('begun');
    setTimeout(() => {
      if (unruly.forbid(${call}, ${action}, ${ways[way]}) !== 0) throw new Error('no filter');
      let times = 0;
      const work = setInterval(() => {
        Buffer.alloc(20000);
        if (++times === 30) { clearInterval(work); console.log('done'); }
      }, 10);
    }, 100);`;
}

/** Expects a whole capture that ended before the filter was active. */
async function expectForbidden(code: string, flags: readonly string[] = []): Promise<void> {
  const run = await runBoth(code, { flags });
  expect(run.stdout).toBe('begun\ndone\n');
  await expectWhole(run);
  const [capture = ''] = run.captures;
  expect((await readCaptureStats(capture)).ending).toBe('calls-forbidden');
}

describe.each(['syscall', 'syscall for one thread', 'prctl', 'syscall(SYS_prctl)'] as const)(
  'a filter by %s',
  (way) => {
    test.each(way === 'syscall' ? calls : calls.slice(0, 3))(
      'that kills for %s ends the capture first, and the program as it would',
      async (_name, call) => {
        await expectForbidden(forbidding(call, kill, way));
      },
    );
  },
);

test('ends the capture first when lines and the heap of JavaScript are recorded', async () => {
  await expectForbidden(forbidding(234, kill, 'syscall'), ['--lines', '--js-heap']);
});

test('ends the capture when a Worker forbids a call to all threads', async () => {
  const worker = `
    require(process.env.UNRULY).forbid(234, ${kill}, true, 0);
    require('node:worker_threads').parentPort.postMessage('done');`;
  await expectForbidden(
    `console.log('begun');
    const { Worker } = require('node:worker_threads');
    setTimeout(() => {
      new Worker(${JSON.stringify(worker)}, { eval: true }).on('message', (text) => {
        Buffer.alloc(20000);
        setTimeout(() => console.log(text), 50);
      });
    }, 50);`,
    ['--lines'],
  );
});

test('judges a second filter', async () => {
  await expectForbidden(
    `unruly.forbid(${mount}, ${kill}, true, 1);${forbidding(186, kill, 'syscall')}`,
  );
});

test('goes on with the capture when a filter only refuses calls', async () => {
  for (const code of [forbidding(310, refuse, 'syscall'), forbidding(mount, kill, 'prctl')]) {
    const run = await runBoth(code);
    await expectWhole(run);
    const [capture = ''] = run.captures;
    expect((await readCaptureStats(capture)).ending).toBe('closed');
  }
});

test('goes on with the capture after questions about filters', async () => {
  const run = await runBoth('console.log(unruly.wrongCalls())');
  expect(run.stdout).toBe('0\n');
  await expectWhole(run);
  const [capture = ''] = run.captures;
  expect((await readCaptureStats(capture)).ending).toBe('closed');
});

test('makes no rare call after a filter that came by a bare instruction', async () => {
  for (const call of [324, 87]) {
    const run = await runBoth(forbidding(call, kill, 'a bare instruction'));
    expect(run.stdout).toBe('begun\ndone\n');
    await expectWhole(run);
  }
});

test('starts a child untracked, and says so, when a filter came before it', async () => {
  const run = await runBoth(`
    const { spawnSync } = require('node:child_process');
    const child = () => spawnSync(process.execPath, ['-p', '7'], { encoding: 'utf8' });
    const first = child();
    unruly.forbid(234, ${kill}, true, 0);
    const second = child();
    console.log(first.stdout + second.stdout, first.status, second.status);
    process.stderr.write(second.stderr);`);
  expect(run.stdout).toBe('7\n7\n 0 0\n');
  expect(run.stderr).toMatch(
    /memdrift: process \d+ is not tracked: system calls are filtered .*\n$/,
  );
  expect(run.captures.length).toBe(2);
});

test("leaves every signal to the program's own threads", async () => {
  const run = await runBoth(`
    const { readdirSync, readFileSync } = require('node:fs');
    for (const task of readdirSync('/proc/self/task')) {
      const status = readFileSync('/proc/self/task/' + task + '/status', 'utf8');
      if (!/^Name:\\tmemdrift/.test(status)) continue;
      const blocked = BigInt('0x' + /^SigBlk:\\t(.*)/m.exec(status)[1]);
      // All but SIGKILL, SIGSTOP and the two that glibc keeps for setuid() and pthread_cancel().
      const taken = [];
      for (let n = 1; n <= 64; n++) if ((blocked >> BigInt(n - 1) & 1n) === 0n) taken.push(n);
      if (taken.some((n) => ![9, 19, 32, 33].includes(n))) console.log('takes ' + taken);
    }`);
  expect(run.stdout).toBe('');
});

describe('a program that closes descriptors which it did not open', () => {
  const code = `
    const fs = require('node:fs');
    for (const name of fs.readdirSync('/proc/self/fd')) {
      let target = '';
      try { target = fs.readlinkSync('/proc/self/fd/' + name); } catch {}
      const isFile = target.startsWith('/') && !target.startsWith('/dev');
      if (Number(name) > 2 && isFile) fs.closeSync(Number(name));
    }
    const folder = fs.mkdtempSync(require('node:os').tmpdir() + '/memdrift-closed-');
    const files = Array.from({ length: 20 }, (_, i) => fs.openSync(folder + '/' + i, 'w'));
    let all = [];
    setTimeout(() => {
      clearInterval(work);
      console.log(files.reduce((sum, file) => sum + fs.fstatSync(file).size, 0));
      fs.rmSync(folder, { recursive: true });
    }, 500);
    const work = setInterval(() => {
      for (let i = 0; i < 200; i++) all.push(Buffer.alloc(3000));
      if (all.length > 3000) all = [];
    }, 10);`;

  test('finds no byte in its files, and its capture whole', async () => {
    const run = await runBoth(code);
    expect(run.stdout).toBe('0\n');
    await expectWhole(run);
  });

  test('has no descriptor of the tracker among its own', async () => {
    const run = await runBoth(`
      const { readdirSync, readlinkSync } = require('node:fs');
      const targets = readdirSync('/proc/self/fd').map((name) => {
        try { return readlinkSync('/proc/self/fd/' + name); } catch { return ''; }
      });
      console.log(targets.filter((one) => /mdc|pagemap|proc.*status/.test(one)).length);`);
    expect(run.stdout).toBe('0\n');
  });
});

test('ends a program that dropped its privileges as untracked, with a whole capture', async () => {
  if (process.getuid?.() !== 0) return;
  const run = await runBoth(`
    process.setgid(65534); process.setuid(65534);
    process.on('exit', (code) => console.log('own handler', code));
    setTimeout(() => { console.log('done'); }, 300);`);
  expect(run.stdout).toBe('done\nown handler 0\n');
  await expectWhole(run);
  let text = '';
  for await (const piece of captureText(run.captures[0] ?? '')) text += piece;
  expect(text.match(/^memory .*/gm)?.at(-1)).toMatch(/rss_anon_bytes=\d+ .*own_bytes=\d+/);
});

/** Runs a program that reads a file, under a limit of descriptors. */
function runWithFew(limit: number, environment: NodeJS.ProcessEnv) {
  const code = 'console.log(require("node:fs").readFileSync("/proc/self/status").length > 0)';
  // Node dumps core where it finds too few.
  const command = `ulimit -c 0; ulimit -n ${limit}; exec "${process.execPath}" -e '${code}'`;
  const { stdout, stderr, status } = spawnSync('sh', ['-c', command], {
    env: environment,
    encoding: 'utf8',
  });
  return [stdout, stderr, status];
}

test('tracks a program that has one descriptor more than it needs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-few-'));
  const order = { folder, file: null, launcherPid: null, socketFolder: null, options: {} };
  // Releases of Node differ in it.
  let needed = 10;
  while (runWithFew(needed, process.env)[2] !== 0) needed++;
  const tracked = runWithFew(needed + 1, trackedEnvironment(process.env, order));
  expect(tracked).toEqual(['true\n', '', 0]);
  const captures = readdirSync(folder);
  expect(captures).toHaveLength(1);
  const stats = await readCaptureStats(join(folder, captures[0] ?? ''));
  expect([stats.damage, stats.droppedRecords]).toEqual([null, 0]);
  rmSync(folder, { recursive: true });
});
