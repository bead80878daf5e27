/** Programs to which SIGUSR1 means something else, or nothing: they run as without us. */
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { explain } from '../../src/drift/explain.ts';
import { attach, detach } from '../../src/tracker/attach.ts';
import { type Child, Children } from '../children.ts';

const children = new Children();
const folder = mkdtempSync(join(tmpdir(), 'memdrift-signal-'));
afterEach(() => children.endAll());
afterAll(() => rmSync(folder, { recursive: true }));

const forced = { yesOpenInspector: true, signal: true };
const allowed = { yesOpenInspector: true };

/** Prints a line, waits for one, prints whether a handler ran, and ends with 7. */
const nodeProgram = (setUp: string): string[] => [
  '-e',
  `let calls = 0; const onSignal = () => { calls++; }; ${setUp}
  console.log('ready'); setInterval(() => {}, 1000);
  process.stdin.on('data', () => { console.log('calls ' + calls); process.exitCode = 7;
    process.stdout.write('', () => process.exit()); });`,
];
const shellProgram = (trap: string): string[] => [
  '-c',
  `calls=0; trap '${trap}' USR1; echo ready; read line; echo "calls $calls"; exit 7`,
];
const pythonProgram = [
  '-c',
  `import signal, sys
calls = []
signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
print("ready", flush=True)
sys.stdin.readline()
print("calls", len(calls), flush=True)
sys.exit(7)`,
];

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** The reason why it is not signalled. */
  readonly reason: RegExp;
}

const renamedShell = join(folder, 'node');
copyFileSync('/bin/bash', renamedShell);

const worker = join(folder, 'worker.cjs');
writeFileSync(worker, 'setInterval(() => {}, 1000);');

const notNode = /is not sent SIGUSR1: \S+ is not Node/;
const others: Readonly<Record<string, Program>> = {
  'bash with a trap': { command: 'bash', args: shellProgram('calls=1'), reason: notNode },
  'sh with a trap': { command: 'sh', args: shellProgram('calls=1'), reason: notNode },
  'sh that resets the trap': {
    command: 'sh',
    args: shellProgram('trap - USR1; calls=1'),
    reason: notNode,
  },
  'sh without a trap': {
    command: 'sh',
    args: ['-c', 'echo ready; read line; echo "calls 0"; exit 7'],
    reason: notNode,
  },
  'a shell whose file is named node': {
    command: renamedShell,
    args: shellProgram('calls=1'),
    reason: notNode,
  },
  'Python with a handler': { command: 'python3', args: pythonProgram, reason: notNode },
};

const ignoring = `trap '' USR1; exec "${process.execPath}" "$@"`;
const nodes: Readonly<Record<string, Program>> = {
  'Node whose listener was removed again': {
    command: process.execPath,
    args: nodeProgram("process.on('SIGUSR1', onSignal); process.off('SIGUSR1', onSignal);"),
    reason: /does not catch the signal and would end/,
  },
  'Node that was started with the signal ignored and listens': {
    command: 'sh',
    args: ['-c', ignoring, 'sh', ...nodeProgram("process.on('SIGUSR1', onSignal);")],
    reason: /has a listener of its own/,
  },
  'Node with a listener': {
    command: process.execPath,
    args: nodeProgram("process.on('SIGUSR1', onSignal);"),
    reason: /has a listener of its own \(process\.on\('SIGUSR1'\)\); send it with --signal/,
  },
  'Node with many listeners, one of them for it': {
    command: process.execPath,
    args: nodeProgram(`for (const name of ['SIGHUP', 'SIGINT', 'SIGUSR2', 'SIGTERM', 'SIGCHLD',
      'SIGUSR1', 'SIGWINCH', 'SIGCONT', 'SIGXCPU']) process.once(name, onSignal);`),
    reason: /has a listener of its own/,
  },
  'the primary process of a cluster': {
    command: process.execPath,
    args: nodeProgram(`const cluster = require('node:cluster');
      cluster.setupPrimary({ exec: ${JSON.stringify(worker)}, execArgv: [] }); cluster.fork();`),
    reason: /is the primary process of a cluster/,
  },
};
if (process.allowedNodeEnvironmentFlags.has('--disable-sigusr1')) {
  Object.assign(nodes, {
    'Node with --disable-sigusr1': {
      command: process.execPath,
      args: ['--disable-sigusr1', ...nodeProgram('')],
      reason: /does not catch the signal and would end/,
    },
  });
}

async function endAsAlone(child: Child): Promise<void> {
  const ended = once(child.process, 'exit');
  expect(await child.ask('end')).toBe('calls 0');
  expect(await ended).toEqual([7, null]);
}

describe.each(Object.entries({ ...others, ...nodes }))('%s', (name, { command, args, reason }) => {
  test('is explained from outside, refuses attach, and ends as alone', async () => {
    const child = await children.run(command, args);
    const { pid } = child;
    const explanation = await explain(pid, allowed);
    expect(explanation).toMatchObject({
      source: 'outside',
      sourceReason: expect.stringMatching(reason),
    });
    const path = join(folder, `${name}.mdc`);
    const refusal = { code: 'ERR_UNSUPPORTED', message: expect.stringMatching(reason) };
    await expect(attach(pid, { path, ...allowed })).rejects.toMatchObject(refusal);
    await expect(detach(pid, allowed)).rejects.toMatchObject(refusal);
    await endAsAlone(child);
  });
});

test.each(Object.entries(others))(
  'sends no signal to %s, even with --signal',
  async (_name, program) => {
    const child = await children.run(program.command, program.args);
    expect(await explain(child.pid, forced)).toMatchObject({ source: 'outside' });
    await endAsAlone(child);
  },
);

test('enters a Node whose listener opens the inspector, with --signal', async () => {
  const setUp = "process.on('SIGUSR1', () => require('node:inspector').open(0));";
  const child = await children.run(process.execPath, nodeProgram(setUp));
  expect(await explain(child.pid, forced)).toMatchObject({ source: 'inspector' });
  await endAsAlone(child);
});
