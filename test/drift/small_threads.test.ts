/**
 * Public threads as programs of a few lines (test/fixtures/drift/threads), each of which knows what
 * it made: its row, the sentence about it, and the function that `run` finds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { joinedRows, withoutInternals } from '../../src/analysis/internals.ts';
import { tableRows } from '../../src/analysis/report_rows.ts';
import { readCaptureReport } from '../../src/capture/capture.ts';
import type { Cause } from '../../src/drift/causes.ts';
import { explain } from '../../src/drift/explain.ts';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { adviceOf } from '../../src/report/explain_advice.ts';
import { Children } from '../children.ts';
import { root } from '../tidy/files.ts';

/** The memory that a program made, by its own arithmetic. */
interface Made {
  readonly cause: Cause;
  /** A lower bound where `mostBytes` is present. */
  readonly bytes: number;
  readonly mostBytes?: number;
  /** Includes allocated bytes that were not written. */
  readonly lengthBytes?: number;
}

interface Thread {
  readonly thread: string;
  readonly program: string;
  /** The advice of explain, and of explain --deep. */
  readonly says: RegExp;
  readonly deepSays: RegExp;
  readonly not: RegExp;
  /** The function that `memdrift run` finds, and the kind of its memory. */
  readonly held?: { readonly by: string; readonly kind: 'buffer' | 'jsheap' | 'malloc' };
}

const objects = /MB are V8's objects: memdrift attach .* --js-heap/;
const largeObjects = /MB are V8's objects, [\d.]+ MB of these in single strings, arrays or tables/;
const nativeCode = /MB are held by native code: memdrift attach/;
const buffers = /MB are contents of Buffers: .* explain --deep shows which are referenced/;
const unreferenced = /referenced by no JavaScript object of the main thread/;
/** Since 22.16. */
const canAskWorkers = 'getHeapStatistics' in Worker.prototype;

const threads: readonly Thread[] = [
  {
    thread: 'nodejs/node#57213',
    program: 'formatters',
    says: nativeCode,
    deepSays: /MB of malloc's were released by a gc: native memory of objects that nothing refer/,
    not: /contents of Buffers/,
    held: { by: 'format', kind: 'malloc' },
  },
  {
    thread: 'nodejs/node#41762',
    program: 'messages',
    says: nativeCode,
    deepSays: nativeCode,
    not: /released by a gc|contents of Buffers/,
    held: { by: 'post', kind: 'malloc' },
  },
  {
    thread: 'nodejs/node#3113',
    program: 'contexts',
    says: objects,
    deepSays: objects,
    not: /garbage\.|native code/,
    held: { by: 'makeContext', kind: 'jsheap' },
  },
  {
    thread: 'nodejs/node#65760',
    program: 'source_maps',
    says: largeObjects,
    deepSays: largeObjects,
    not: /garbage\.|native code/,
    held: { by: 'evaluate', kind: 'jsheap' },
  },
  {
    thread: 'nodejs/node#34703',
    program: 'shared_buffers',
    says: buffers,
    deepSays: unreferenced,
    not: /slices|garbage,/,
    held: { by: 'makeFrame', kind: 'buffer' },
  },
  {
    thread: 'websockets/ws#497',
    program: 'deflaters',
    says: nativeCode,
    deepSays: nativeCode,
    not: /released by a gc|contents of Buffers/,
  },
  {
    thread: 'nodejs/node#31891',
    program: 'substrings',
    says: largeObjects,
    deepSays: largeObjects,
    not: /garbage\.|outside V8's heap/,
    held: { by: 'keep', kind: 'jsheap' },
  },
  {
    thread: 'nodejs/node#47195',
    program: 'inspected',
    says: largeObjects,
    deepSays: largeObjects,
    not: /garbage\./,
    held: { by: 'work', kind: 'jsheap' },
  },
  {
    thread: 'nodejs/node#17001',
    program: 'ipc_queue',
    says: buffers,
    deepSays: unreferenced,
    not: /slices|garbage,/,
    held: { by: 'send', kind: 'buffer' },
  },
  {
    thread: 'nodejs/node#34823',
    program: 'many_workers',
    says: /belongs to 12 other isolates \(Workers\) or is free room; explain --deep/,
    deepSays: canAskWorkers ? /are objects of Workers/ : /belongs to 12 other isolates/,
    not: /native code|garbage\./,
  },
];

const mb = 1e6;
const children = new Children();
afterEach(() => children.endAll());

const pathOf = (program: string): string =>
  join(root, 'test/fixtures/drift/threads', `${program}.cjs`);

async function start(program: string): Promise<{ pid: number; made: Made }> {
  // Open from the start: this test is not about how soon a signal opens it.
  const flags = ['--inspect=127.0.0.1:0', '--expose-gc'];
  const child = await children.run(process.execPath, [...flags, pathOf(program)]);
  return { pid: child.pid, made: JSON.parse(child.first) as Made };
}

async function explained(pid: number, deep = false): Promise<Explanation> {
  const explanation = await explain(pid, { yesOpenInspector: true, deep });
  expect(explanation).toMatchObject({ source: 'inspector', sourceReason: null });
  expectPossible(adviceOf(explanation));
  return explanation;
}

/** Expects that no sentence has a part larger than its whole. */
function expectPossible(advice: readonly string[]): void {
  for (const sentence of advice) {
    for (const [, part, whole] of sentence.matchAll(/([\d.]+) MB of ([\d.]+) MB/g)) {
      expect(Number(part), sentence).toBeLessThanOrEqual(Number(whole));
    }
  }
}

const bytesOf = ({ causes }: Explanation, cause: Cause): number =>
  causes.find((row) => row.cause === cause)?.bytes ?? 0;

const marginOf = (bytes: number): number => Math.max(2 * mb, 0.03 * bytes);

/** V8 samples objects at a mean distance of 64 KiB: four standard deviations, of small objects. */
const sampledMarginOf = (bytes: number): number => 4 * Math.sqrt(bytes * 65_536);

describe('a thread', () => {
  let idle: Explanation;
  beforeAll(async () => {
    idle = await explained((await start('idle')).pid);
    await children.endAll();
  });

  test.each(threads)(
    '$thread: explain counts $program in its row and names the cause',
    async (one) => {
      const { pid, made } = await start(one.program);
      const first = await explained(pid);
      const { bytes, cause, mostBytes = bytes } = made;
      const isHeld = mostBytes === bytes;
      const found = bytesOf(first, cause) - (isHeld ? bytesOf(idle, cause) : 0);
      expect(found, cause).toBeGreaterThan(bytes - marginOf(bytes));
      expect(found, cause).toBeLessThan(mostBytes + marginOf(mostBytes));
      expectSaid(first, one.says, one.not);
      expectSaid(await explained(pid, true), one.deepSays, one.not);
    },
  );
});

function expectSaid(explanation: Explanation, words: RegExp, not: RegExp): void {
  const advice = adviceOf(explanation).join('\n');
  expect(advice).toMatch(words);
  expect(advice).not.toMatch(not);
}

describe('run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-threads-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const held = threads.flatMap(({ held: by, ...one }) => (by ? [{ ...one, ...by }] : []));
  test.each(held)('$thread: finds what $by() of $program holds', async ({ by, kind, program }) => {
    const capture = join(folder, `${program}.mdc`);
    const made = await run(program, ['-o', capture, ...(kind === 'jsheap' ? ['--js-heap'] : [])]);
    const report = joinedRows(
      withoutInternals(await readCaptureReport(capture, { moment: 'end' })),
    );
    const rows = tableRows(report).filter((row) => row.kind === kind);
    const under = rows.filter(({ stack }) => stack.some((frame) => frame.function === by));
    const bytes = under.reduce((sum, row) => sum + row.bytes, 0);
    const { lengthBytes = made.bytes } = made;
    const margin = kind === 'jsheap' ? sampledMarginOf(lengthBytes) : marginOf(lengthBytes);
    expect(Math.abs(bytes - lengthBytes), `${bytes}, not ${lengthBytes}`).toBeLessThan(margin);
  });
});

/** Runs the program to its end, which follows the end of its input. */
async function run(program: string, flags: readonly string[]): Promise<Made> {
  const cli = join(root, 'dist/cli.js');
  const args = ['--expose-gc', cli, 'run', ...flags, pathOf(program)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  await once(child, 'close');
  return JSON.parse(stdout) as Made;
}
