/** explain() of programs whose memory once had a wrong cause; each knows how much it has. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { readCaptureStats } from '../../src/capture/capture.ts';
import type { Cause } from '../../src/drift/causes.ts';
import { type ExplainOptions, explain } from '../../src/drift/explain.ts';
import type {
  ByThread,
  ExplainedThread,
  Explanation,
  ThreadBytes,
} from '../../src/drift/explain_model.ts';
import { adviceOf } from '../../src/report/explain_advice.ts';
import { explainText } from '../../src/report/explain_text.ts';
import { type Child, Children } from '../children.ts';
import { root } from '../tidy/files.ts';
import { jemallocPath } from './known_programs.ts';

const children = new Children();
afterEach(() => children.endAll());

const mb = 1e6;

/** Since 22.16. */
const canAskWorkers = 'getHeapStatistics' in Worker.prototype;

/** A program that has said its first line. */
function start(name: string, ...flags: readonly string[]): Promise<Child> {
  const script = join(root, 'test/fixtures/drift/cases', name);
  return children.run(process.execPath, ['--inspect-port=0', '--expose-gc', ...flags, script]);
}

async function explained({ pid }: Child, options: ExplainOptions = {}): Promise<Explanation> {
  const explanation = await explain(pid, { yesOpenInspector: true, ...options });
  const { causes, rssBytes, unexplainedBytes } = explanation;
  expect(causes.reduce((sum, { bytes }) => sum + (bytes ?? 0), unexplainedBytes)).toBe(rssBytes);
  return explanation;
}

const bytesOf = ({ causes }: Explanation, cause: Cause): number =>
  causes.find((row) => row.cause === cause)?.bytes ?? Number.NaN;

function expectNear(bytes: number, truth: number): void {
  expect(Math.abs(bytes - truth), `${bytes}, and not ${truth}`).toBeLessThan(
    Math.max(2 * mb, 0.03 * truth),
  );
}

test('memories of WebAssembly have a row, and advice that they never shrink', async () => {
  const explanation = await explained(await start('wasm.cjs'));
  expectNear(bytesOf(explanation, 'wasm-memory'), 1601 * 65_536);
  expect(bytesOf(explanation, 'array-buffers')).toBeLessThan(2 * mb);
  expect(adviceOf(explanation)[0]).toContain('never shrink');
});

test('free room in V8’s heap is not objects', async () => {
  const explanation = await explained(await start('semi_spaces.cjs'));
  const { heapUsedBytes = 0 } = explanation.v8 ?? {};
  expect(bytesOf(explanation, 'v8-heap')).toBeLessThan(heapUsedBytes + 3 * mb);
  expect(bytesOf(explanation, 'v8-free')).toBeGreaterThan(16 * mb);
  expect(adviceOf(explanation).join()).toContain('free room in V8');
});

test('names single large objects when exec() keeps output', async () => {
  const explanation = await explained(await start('exec_strings.cjs'));
  const [sentence] = adviceOf(explanation);
  const [, large] = /, ([0-9.]+) MB of these in single strings/.exec(sentence ?? '') ?? [];
  expectNear(Number(large) * mb, 60 * mb);
});

test('contents of strings outside of V8’s heap have a row', async () => {
  const explanation = await explained(await start('external_strings.cjs'));
  expectNear(bytesOf(explanation, 'external-strings'), 48 * mb);
  expect(adviceOf(explanation)[0]).toContain('contents of large JavaScript strings');
});

test('stats of the same moment has as much freed memory and as many blocks', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-freed-'));
  try {
    const capture = join(folder, 'main.mdc');
    const script = join(root, 'test/fixtures/drift/cases/freed_blocks.cjs');
    const run = [join(root, 'dist/cli.js'), 'run', '-o', capture, script];
    const child = await children.run(process.execPath, ['--expose-gc', ...run]);
    const explanation = await explained(child);
    child.process.stdin?.end();
    await once(child.process, 'exit');
    const { rssGrowth } = await readCaptureStats(capture);
    const grown = (cause: string): number =>
      rssGrowth?.parts.find((part) => part.cause === cause)?.bytes ?? Number.NaN;
    const sumOf = (...causes: readonly Cause[]): number =>
      causes.reduce((sum, cause) => sum + bytesOf(explanation, cause), 0);
    const freed = sumOf('malloc-freed', 'malloc-top');
    expect(freed).toBeGreaterThan(16 * mb);
    expectAgreement(grown('malloc-freed'), freed);
    expectAgreement(
      grown('tracked-blocks'),
      sumOf('external-strings', 'array-buffers', 'malloc-in-use'),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Two answers about one moment. */
function expectAgreement(one: number, other: number): void {
  expect(Math.abs(one - other), `${one} and ${other}`).toBeLessThan(Math.max(mb, 0.05 * other));
}

test('--deep says what native code holds of Buffers, and does not blame slices', async () => {
  const explanation = await explained(await start('blobs.cjs'), { deep: true });
  expectNear(bytesOf(explanation, 'array-buffers'), 64 << 20);
  expectNear(explanation.deep?.unreferencedBytes ?? Number.NaN, 64 << 20);
  const text = explainText(explanation);
  expect(text).toMatch(/^held by native code, in messages, or by other isolates .* 6[67]\.\d\d /m);
  expect(text).toContain('referenced by no JavaScript object of the main thread');
  expect(text).not.toContain('kept by slices');
  expect(text).not.toMatch(/-\d/);
});

test('counts unread bodies of responses as referenced Buffers', async () => {
  const child = await start('unread_responses.mjs');
  const counted = Number(child.first);
  expect(counted).toBeGreaterThan(8 * mb);
  const explanation = await explained(child, { deep: true });
  expectNear(bytesOf(explanation, 'array-buffers'), counted);
  expectNear(explanation.deep?.retained.kinds.own.referencedBytes ?? Number.NaN, counted);
  expectNear(explanation.deep?.unreferencedBytes ?? Number.NaN, 0);
});

// Where it is installed, and in CI.
if (existsSync(jemallocPath()) || process.env.CI) {
  test('counts freed Buffers that jemalloc keeps as freed, not as in use', async () => {
    const script = join(root, 'test/fixtures/drift/cases/freed_buffers.cjs');
    const flags = ['--inspect-port=0', '--expose-gc', script];
    const preload = `LD_PRELOAD=${jemallocPath()}`;
    const explanation = await explained(
      await children.run('env', [preload, process.execPath, ...flags]),
    );
    expectNear(bytesOf(explanation, 'array-buffers'), 5000 * 5000);
    const inUse = bytesOf(explanation, 'malloc-in-use') + bytesOf(explanation, 'array-buffers');
    expect(inUse).toBe(explanation.malloc?.own?.allocatedBytes);
    expect(bytesOf(explanation, 'malloc-freed')).toBeGreaterThan(50 * mb);
    expect(bytesOf(explanation, 'malloc-in-use')).toBeLessThan(12 * mb);
    expect(adviceOf(explanation)[0]).toContain('freed or reserved by jemalloc');
  });
}

describe('a program with Workers', () => {
  interface Said {
    readonly threadId: number;
    readonly job: number;
    readonly heap: number;
  }

  const byId = (explanation: Explanation, id: number | undefined): ExplainedThread | undefined =>
    explanation.byThread?.threads.find(({ threadId }) => threadId === id);

  function expectSums({ byThread, causes }: Explanation): void {
    const { rest, surplus, threads } = byThread as ByThread;
    const sumOf = (column: keyof ThreadBytes): number =>
      threads.reduce((sum, { bytes }) => sum + (bytes?.[column] ?? 0), rest[column]) -
      surplus[column];
    const ofCauses = (...names: readonly Cause[]): number =>
      causes.reduce((sum, { bytes, cause }) => sum + (names.includes(cause) ? (bytes ?? 0) : 0), 0);
    const heap = sumOf('heapBytes') + sumOf('freeBytes');
    expect(heap).toBe(ofCauses('v8-heap', 'v8-free'));
    const external = ofCauses('array-buffers', 'external-strings', 'wasm-memory');
    expect(sumOf('externalBytes')).toBe(external);
  }

  test('--deep shows the memory of each Worker, which adds up to the causes', async () => {
    const script = join(root, 'test/fixtures/drift/cases/workers.cjs');
    const flags = ['--inspect-port=0', '--expose-gc'];
    const child = await children.run(process.execPath, [...flags, script]);
    const said = JSON.parse(child.first) as readonly Said[];
    const explanation = await explained(child, { deep: true });
    expectSums(explanation);
    expect(explanation.byThread?.threads).toHaveLength(5);
    const text = explainText(explanation);
    if (!canAskWorkers) {
      expect(text.match(/unknown +not asked: needs Node 22.16/g)).toHaveLength(4);
      expect(adviceOf(explanation).join()).toMatch(/4 other isolates/);
      return;
    }
    for (const { heap, job, threadId } of said) {
      const thread = byId(explanation, threadId);
      expect(thread).toMatchObject({ isBusy: false, ageMs: 0 });
      expectNear(thread?.bytes?.heapBytes ?? Number.NaN, heap);
      const bufferBytes = (job === 3 ? 12 : 1) * (8 << 20);
      const otherBytes = (thread?.bytes?.externalBytes ?? Number.NaN) - bufferBytes;
      expect(otherBytes).toBeGreaterThanOrEqual(0);
      expect(otherBytes).toBeLessThan(4 * mb);
    }
    const most = explanation.byThread?.threads[0];
    expect(most?.threadId).toBe(said.find(({ job }) => job === 3)?.threadId);
    expect(adviceOf(explanation).join()).toContain(`of thread ${most?.threadId}`);
  });

  if (!canAskWorkers) return;

  test('--deep shows the last answer of a busy Worker, and its age', async () => {
    const child = await start('workers.cjs');
    const said = JSON.parse(child.first) as readonly Said[];
    const idOf = (job: number): number | undefined => said.find((one) => one.job === job)?.threadId;
    const { pid } = child;
    const first = await explain(pid, { yesOpenInspector: true, deep: true });
    expect(await child.ask('compute')).toBe('busy');
    await sleep(100);
    const second = await explained(child, { deep: true });
    expectSums(second);
    const busy = byId(second, idOf(3));
    expect(busy).toMatchObject({ isBusy: true, bytes: byId(first, idOf(3))?.bytes });
    expect(busy?.ageMs).toBeGreaterThan(0);
    expect(byId(second, idOf(0))).toMatchObject({ isBusy: false, ageMs: 0 });
    expect(explainText(second)).toMatch(/busy, \d+ s ago/);
  });

  test('shows unknown for a busy Worker that has never answered', async () => {
    const child = await start('workers.cjs');
    const job3 = (JSON.parse(child.first) as readonly Said[]).find(({ job }) => job === 3);
    expect(await child.ask('compute')).toBe('busy');
    await sleep(100);
    const explanation = await explained(child, { deep: true });
    expectSums(explanation);
    const unknown = { isBusy: true, ageMs: null, bytes: null };
    expect(byId(explanation, job3?.threadId)).toMatchObject(unknown);
    expect(explainText(explanation)).toMatch(/unknown +unknown +unknown +busy, unknown/);
  });
});

describe('a program that is not Node', () => {
  // node-gyp needs Python, so that it is there.
  test('has no rows of V8 and no advice about Node', async () => {
    const script = 'd=b"x"*(64<<20); print(len(d), flush=True); input()';
    const explanation = await explained(await children.run('python3', ['-c', script]));
    expect(explanation).toMatchObject({ isNode: false, tracking: { attach: false, run: false } });
    const text = explainText(explanation).split('\n').slice(1).join('\n');
    expect(text).not.toMatch(/v8|V8|Buffer|memdrift (attach|run)|array-buffers|wasm/);
  });
});
