/** What explain({ deep: true }) says of programs that hold Buffers in known ways. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { DeepFacts, RetainedSize } from '../../src/drift/retention_model.ts';
import { root } from '../tidy/files.ts';
import { KnownPrograms } from './known_programs.ts';

const programs = new KnownPrograms();
afterAll(() => programs.remove());

interface Answer {
  readonly first: DeepFacts;
  readonly second: DeepFacts;
  readonly isLeft: boolean;
  readonly isDropped: boolean;
  /** ArrayBuffers whose finalizers had not run. */
  readonly unfinalized: number;
}

async function run(moreBuffers: number): Promise<Answer> {
  const script = join(root, 'test/fixtures/drift/retained.mjs');
  const args = ['--expose-gc', script, `${moreBuffers}`];
  const env = programs.environment;
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return JSON.parse(stdout) as Answer;
}

function ofLength({ retained }: DeepFacts, lengthBytes: number): RetainedSize | undefined {
  return retained.sizes.find((size) => size.lengthBytes === lengthBytes);
}

const moreBuffers = 100_000;
const answer = await run(moreBuffers);

describe('what Buffers hold against what is referenced of them', () => {
  test('is the union of what views cover, the worst length first', () => {
    expect(answer.first.retained.sizes[0]).toEqual({
      kind: 'own',
      lengthBytes: 70_000,
      count: 500,
      heldBytes: 500 * 70_000,
      referencedBytes: 500 * 300,
      viewCount: 500 * 3,
      unviewedCount: 0,
    });
  });

  test('a DataView is a view, and what has no view is referenced', () => {
    expect(ofLength(answer.first, 71_000)).toMatchObject({ referencedBytes: 500, viewCount: 1 });
    const { unviewedCount } = answer.first.retained.kinds.own;
    expect(unviewedCount).toBeGreaterThanOrEqual(1);
  });

  test('what threads or processes share is a kind of its own', () => {
    expect(ofLength(answer.first, 73_000)).toMatchObject({ kind: 'shared', referencedBytes: 200 });
    const { mapped } = answer.first.retained.kinds;
    expect(mapped).toMatchObject({ count: 1, heldBytes: 1 << 20 });
  });

  test('all views of a pool are seen', () => {
    const { heldBytes, referencedBytes, viewCount } = answer.first.retained.kinds.own;
    expect(viewCount).toBeGreaterThan(moreBuffers + 1500);
    expect(heldBytes - 500 * 70_000).toBeGreaterThan(moreBuffers * 100);
    expect(referencedBytes).toBeGreaterThan(moreBuffers * 100);
    expect(referencedBytes).toBeLessThan(moreBuffers * 100 + 1e6);
  });

  test('asking leaves nothing behind: what was seen can go, and is gone the next time', () => {
    expect(answer).toMatchObject({ isLeft: false, isDropped: true });
    expect(answer.second.retained.sizes[0]).toMatchObject({ count: 499, viewCount: 499 * 3 });
  });

  test('what waited for a finalizer is counted as released', () => {
    expect(answer.unfinalized).toBeGreaterThan(100);
    const { released } = answer.second;
    const truth = answer.unfinalized * 100_000 + 70_000;
    expect(Math.abs((released.mallocBytes ?? NaN) - truth)).toBeLessThan(2e6);
  });
});

test('another process is asked by its inspector, and says it in a table', async () => {
  const script = `
    const kept = Array.from({ length: 300 }, () =>
      Buffer.allocUnsafeSlow(70_000).fill(1).subarray(0, 100));
    console.log(kept.length);
    setInterval(() => kept.length, 1000);`;
  const stdio = ['ignore', 'pipe', 'ignore'] as const;
  const child = spawn(process.execPath, ['-e', script], { stdio: [...stdio] });
  try {
    await once(createInterface({ input: child.stdout }), 'line');
    const args = ['explain', '--deep', '--yes-open-inspector', String(child.pid)];
    const cli = join(root, 'dist/cli.js');
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args]);
    const row = stdout.split('\n').find((line) => line.startsWith('ArrayBuffer '));
    expect(row?.split(/ {2,}/)).toEqual([
      'ArrayBuffer',
      '70000 bytes',
      '300',
      '21.00',
      '0.03',
      '300',
    ]);
    expect(stdout).toContain('kept by slices');
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
