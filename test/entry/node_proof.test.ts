/** Proofs that a process waits for SIGUSR1 as Node's inspector does, and doubts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { binding } from '../../src/binding.ts';
import { sendDebugSignal } from '../../src/entry/debug_signal.ts';
import { newInspector } from '../../src/entry/inspector_finder.ts';
import { hasTurned, type LoopState, loopState } from '../../src/entry/main_thread.ts';
import { checkDisposition, type DebugTarget, lookAtTarget } from '../../src/entry/node_proof.ts';
import { identify } from '../../src/entry/process_identity.ts';
import { openMemory, type ProcessMemory } from '../../src/entry/process_memory.ts';
import { Children, idleScript } from '../children.ts';

const children = new Children();
const folder = mkdtempSync(join(tmpdir(), 'memdrift-proof-'));
afterEach(() => children.endAll());
afterAll(() => rmSync(folder, { recursive: true }));

/** Fails as the kernel does when ptrace may not attach. */
const denied = (): ProcessMemory => {
  throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
};

test('does not refuse a process that blocks signals for moments', async () => {
  const program = `import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: None)
print('ready', flush=True)
while True:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    time.sleep(0.02)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    time.sleep(0.01)`;
  const { pid } = await children.run('python3', ['-c', program]);
  const identity = identify(pid);
  for (let time = 0; time < 20; time++) checkDisposition(identity);
});

describe('a Node that waits for the signal', () => {
  test('is proven under another name, with listeners for other signals', async () => {
    const link = join(folder, 'server');
    symlinkSync(process.execPath, link);
    const listening = `process.title = 'bash';
      for (const name of ['SIGHUP', 'SIGINT', 'SIGUSR2', 'SIGTERM', 'SIGCONT', 'SIGWINCH'])
        process.on(name, () => {}); ${idleScript}`;
    const { pid } = await children.run(link, ['-e', listening]);
    const { target, doubt } = lookAtTarget(pid);
    expect(doubt).toBeNull();
    expect(target).toMatchObject({ isForced: false, addresses: { semaphore: expect.any(Number) } });
  });

  test('is proven with workers, a thread pool at work and a child process', async () => {
    const busy = `const { Worker } = require('node:worker_threads');
      new Worker('setInterval(() => {}, 10)', { eval: true });
      const child = require('node:child_process').spawn('cat');
      setInterval(() => require('node:fs').readFile('/proc/self/status', () => {}), 5);
      process.on('exit', () => child.kill()); ${idleScript}`;
    const { pid } = await children.node(busy);
    expect(lookAtTarget(pid).doubt).toBeNull();
  });

  test('polls in its loop, and not in the loop of execSync()', async () => {
    const idle = await children.node(idleScript);
    const { addresses } = lookAtTarget(idle.pid).target;
    await expect
      .poll(() => loopState(idle.pid, addresses))
      .toMatchObject({ isHeld: false, isPolling: true });
    const waits = "console.log('ready'); require('node:child_process').execSync('sleep 60')";
    const blocked = await children.node(waits);
    const { target } = lookAtTarget(blocked.pid);
    const before = loopState(blocked.pid, target.addresses) as LoopState;
    expect(before.isPolling).toBe(false);
    for (let i = 0; i < 20; i++) {
      const state = loopState(blocked.pid, target.addresses);
      expect(state).toEqual({ ...before, atMs: expect.any(Number) });
    }
  });

  test('is held while it is stopped and until it is delivered the signal', async () => {
    const child = await children.run(process.execPath, ['--inspect-port=0', '-e', idleScript]);
    const { addresses } = lookAtTarget(child.pid).target;
    const isHeld = () => loopState(child.pid, addresses)?.isHeld;
    expect(isHeld()).toBe(false);
    process.kill(child.pid, 'SIGSTOP');
    process.kill(child.pid, 'SIGUSR1');
    await expect.poll(isHeld).toBe(true);
    process.kill(child.pid, 'SIGCONT');
    await expect.poll(isHeld).toBe(false);
  });

  test('has turned as often as it counts itself, although a timer is always due', async () => {
    const child = await children.node(
      `let turns = 0; (function turn() { turns++; setImmediate(turn); })();
       process.stdin.on('data', () => console.log(turns)); ${idleScript}`,
    );
    const { addresses } = lookAtTarget(child.pid).target;
    const before = loopState(child.pid, addresses) as LoopState;
    const counted = Number(await child.ask('turns?'));
    await expect.poll(() => loopState(child.pid, addresses)?.turns).toBeGreaterThan(counted + 99);
    const now = loopState(child.pid, addresses) as LoopState;
    expect(hasTurned(before, now)).toBe(true);
    const later = Number(await child.ask('turns?'));
    // The loop may turn before the script counts, and once for each question.
    expect([before.turns <= counted + 5, now.turns <= later + 5]).toEqual([true, true]);
  });
});

describe('a loop has turned', () => {
  const state = (turns: number, atMs: number): LoopState => {
    return { isHeld: false, isPolling: false, turns, atMs };
  };

  test('when it began to poll twice, and not when it did once', () => {
    expect(hasTurned(state(7, 0), state(9, 50))).toBe(true);
    expect(hasTurned(state(7, 0), state(8, 50))).toBe(false);
  });

  test('not when an older libuv has a time in place of the number', () => {
    const beganNs = 60_000 * 1e6;
    expect(hasTurned(state(0, 60_000), state(beganNs, 60_050))).toBe(false);
    expect(hasTurned(state(beganNs, 60_000), state(0, 60_050))).toBe(false);
    expect(hasTurned(state(beganNs, 60_000), state(beganNs + 4e7, 60_050))).toBe(false);
  });
});

describe('returns a doubt when', () => {
  test('the memory may not be read', async () => {
    const { pid } = await children.node(idleScript);
    const { target, doubt } = lookAtTarget(pid, denied);
    expect(doubt).toMatch(/its memory, .* cannot be read \(EACCES; see kernel.yama.ptrace_scope\)/);
    expect(target.isForced).toBe(true);
  });

  test.each([
    ['type', 16],
    ['signal', 104],
    ['parent', 128],
    ['color', 136],
  ])('a signal watcher has a %s that libuv never writes', async (_field, offset) => {
    const { pid } = await children.node(`process.on('SIGHUP', () => {}); ${idleScript}`);
    const damaged = lookAtTarget(pid, (of) => {
      const memory = openMemory(of);
      const read = (address: number, length: number): Buffer => {
        const bytes = memory.read(address, length) as Buffer;
        if (length > 8) bytes.writeInt32LE(0x7fff, offset);
        return bytes;
      };
      return { read, close: () => memory.close() };
    });
    expect(damaged.doubt).toContain('does not hold signal watchers as libuv has them');
  });

  test('signal watchers form a loop', async () => {
    const { pid } = await children.node(`process.on('SIGHUP', () => {}); ${idleScript}`);
    const endless = lookAtTarget(pid, (of) => {
      const memory = openMemory(of);
      const read = (address: number, length: number): Buffer => {
        if (length === 8) return memory.read(address, length) as Buffer;
        const bytes = Buffer.alloc(length);
        bytes.writeInt32LE(16, 16);
        bytes.writeInt32LE(1, 104);
        bytes.writeBigUInt64LE(BigInt(address), 112);
        bytes.writeBigUInt64LE(address === first ? 0n : BigInt(first), 128);
        first ||= address;
        return bytes;
      };
      let first = 0;
      return { read, close: () => memory.close() };
    });
    expect(endless.doubt).toMatch(/has no end|does not hold signal watchers/);
  });
});

test('sends no signal when a listener was added after the proof', async () => {
  const child = await children.node(`process.stdin.once('data', () => {
    process.on('SIGUSR1', () => {}); console.log('listens'); }); ${idleScript}`);
  const { target } = lookAtTarget(child.pid);
  expect(await child.ask('listen')).toBe('listens');
  expect(() => sendDebugSignal(target)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
});

test('signals by number when the kernel has no pidfds', async () => {
  const child = await children.run(process.execPath, ['--inspect-port=0', '-e', idleScript]);
  const { target } = lookAtTarget(child.pid);
  const open = vi.spyOn(binding(), 'processOpen').mockReturnValue(-1);
  sendDebugSignal(target);
  open.mockRestore();
  await expect.poll(() => newInspector(child.pid, []), { timeout: 20_000 }).not.toBeNull();
});

test('sends no signal when the process ended or runs another program', async () => {
  const { pid } = await children.node(idleScript);
  const { target } = lookAtTarget(pid);
  const other: DebugTarget = { ...target, identity: { ...target.identity, startTimeTicks: 1 } };
  expect(() => sendDebugSignal(other)).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
  const exec: DebugTarget = { ...target, identity: { ...target.identity, program: '1' } };
  expect(() => sendDebugSignal(exec)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
});

test('a Node that starts is signalled only when it survives that', {
  timeout: 60_000,
}, async () => {
  const script = 'setInterval(() => {}, 9)';
  const doubts: string[] = [];
  const start = `read line; exec "${process.execPath}" --inspect-port=0 -e '${script}'`;
  for (let round = 0; round < 12; round++) {
    const child = spawn('sh', ['-c', start], { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = once(child, 'exit');
    const pid = child.pid as number;
    expect(() => lookAtTarget(pid)).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }));
    child.stdin?.end('go\n');
    for (let isSent = false; !isSent; ) {
      try {
        const { target, doubt } = lookAtTarget(pid);
        if (doubt !== null) {
          doubts.push(doubt);
          continue;
        }
        sendDebugSignal(target);
        isSent = true;
      } catch {
        // The process still is the shell, begins Node at this moment, or has no handler yet.
      }
    }
    await expect.poll(() => newInspector(pid, []), { timeout: 20_000 }).not.toBeNull();
    child.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
  }
  // Node starts the thread before it handles the signal; the thread reaches its semaphore later.
  expect(doubts).toEqual([]);
});
