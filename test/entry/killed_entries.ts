/** Commands that enter a process and are killed at random moments; the process must not notice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExpectStatic } from 'vitest';
import { listenersOf } from '../../src/entry/listeners.ts';
import { Children } from '../children.ts';
import { randomFrom } from '../random.ts';
import { root } from '../tidy/files.ts';
import { guardsOf, markVariable, processesWith } from './left_behind.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const;
const settled = { timeout: 30_000, interval: 50 };

export interface KilledEntries {
  readonly kills: number;
  readonly seed: number;
  /** Work of the process, which answers lines meanwhile. */
  readonly script: string;
  /** The test's own `expect`: several tests may run at once. */
  readonly expect: ExpectStatic;
}

/** Number of commands that were killed before their end. */
export async function killEntries(options: KilledEntries): Promise<number> {
  const { kills, seed, script, expect } = options;
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-killed-'));
  const children = new Children();
  const random = randomFrom(seed);
  const mark = `killed-${process.pid}-${seed}`;
  const program = `process.stdin.on('data', () => console.log('goes on')); ${script}
    console.log('ready');`;
  const args = ['--inspect-port=0', '-e', program];
  const child = await children.run(process.execPath, args);
  const commands = [
    (i: number) => ['attach', String(child.pid), '-o', join(folder, `${i}.mdc`)],
    () => ['explain', String(child.pid)],
    () => ['detach', String(child.pid)],
  ];
  let killed = 0;
  let usualMs = 1000;
  try {
    for (let i = 0; i < kills; i++) {
      const command = (commands[i % commands.length] as (typeof commands)[0])(i);
      const begin = performance.now();
      const killAfterMs = (random(1100) * usualMs) / 1000;
      const signal = signals[random(signals.length)] as (typeof signals)[number];
      const isKilled = await enter(command, mark, { killAfterMs, signal });
      if (isKilled) killed++;
      else usualMs = (usualMs + performance.now() - begin) / 2;
      const what = `kill ${i} of seed ${seed}: ${command[0]} after ${killAfterMs} ms by ${signal}`;
      await expect.poll(() => listenersOf(child.pid), { ...settled, message: what }).toEqual([]);
      await expect.poll(() => guardsOf(child.pid), { ...settled, message: what }).toEqual([]);
      await expect.poll(() => processesWith(mark), { ...settled, message: what }).toEqual([]);
      expect(await child.ask('still there?'), what).toBe('goes on');
    }
  } finally {
    await children.endAll();
    rmSync(folder, { recursive: true });
  }
  return killed;
}

interface Kill {
  readonly killAfterMs: number;
  readonly signal: (typeof signals)[number];
}

/** Kills the command's whole group, as a terminal does; returns whether it was still running. */
async function enter(
  command: readonly string[],
  mark: string,
  { killAfterMs, signal }: Kill,
): Promise<boolean> {
  const args = [join(root, 'dist/cli.js'), ...command, '--yes-open-inspector'];
  const env = { ...process.env, [markVariable]: mark };
  const cli = spawn(process.execPath, args, { detached: true, stdio: 'ignore', env });
  const ended = once(cli, 'exit');
  await Promise.race([ended, sleep(killAfterMs)]);
  if (cli.exitCode !== null || cli.signalCode !== null) return false;
  process.kill(-(cli.pid as number), signal);
  const [, by] = await ended;
  return by === signal;
}
