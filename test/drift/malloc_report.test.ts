/** What is said of malloc's memory, in Node processes that hold Buffers in known ways. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type MallocReport, readOwnMalloc } from '../../src/drift/malloc_report.ts';
import { root } from '../tidy/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'memdrift-trim-'));
afterAll(() => rmSync(folder, { recursive: true }));
const addon = compiled('trim.c', 'trim.node');
const otherMalloc = compiled('other_malloc.c', 'other_malloc.so');

function compiled(source: string, name: string): string {
  const headers = join(root, 'node_modules/node-api-headers/include');
  const flags = ['-O2', '-shared', '-fPIC', '-I', headers, '-o', join(folder, name)];
  execFileSync('cc', [...flags, join(root, 'test/native', source)]);
  return join(folder, name);
}

interface Answer {
  readonly report: MallocReport;
  readonly returned: number;
  readonly heldBytes: number;
}

function run(args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Answer {
  const script = join(root, 'test/fixtures/drift/buffers.mjs');
  const output = execFileSync(process.execPath, ['--expose-gc', script, ...args.map(String)], {
    encoding: 'utf8',
    env: { ...process.env, TRIM_ADDON: addon, ...env },
  });
  return JSON.parse(output) as Answer;
}

type PartName = 'all' | 'inUse' | 'threadCache' | 'fastBins' | 'free' | 'top' | 'other';
const disjoint = ['inUse', 'threadCache', 'fastBins', 'free', 'top', 'other'] as const;

function residentOf({ figures }: MallocReport, names: readonly PartName[]): number {
  return (figures?.arenas ?? [])
    .flatMap((arena) => names.map((name) => arena[name]?.residentBytes ?? 0))
    .reduce((sum, bytes) => sum + bytes, 0);
}

function expectTrim({ report, returned }: Answer): void {
  const foretold = report.figures?.trimBytes ?? NaN;
  expect(Math.abs(foretold - returned)).toBeLessThan(Math.max(0.05 * returned, 1e6));
}

/** Of the program itself: Node's and V8's own blocks. */
const ownBytes = 8e6;

describe('Buffers that are freed behind pins', () => {
  const answer = run(['pinned', 20_000, 20_000]);

  test('are free, resident, and what a trim returns', () => {
    expect(answer.report).toMatchObject({ exactness: 'exact', reason: null });
    expect(residentOf(answer.report, ['free', 'top'])).toBeGreaterThan(0.97 * 392e6);
    expect(answer.returned).toBeGreaterThan(0.9 * 392e6);
    expectTrim(answer);
  });

  test('and the pins are in use', () => {
    const inUse = residentOf(answer.report, ['inUse']);
    expect(inUse).toBeGreaterThan(answer.heldBytes);
    expect(inUse).toBeLessThan(answer.heldBytes + ownBytes);
  });

  test('and all kinds add up to what is resident of the arenas', () => {
    expect(residentOf(answer.report, disjoint)).toBe(residentOf(answer.report, ['all']));
  });
});

test('Buffers that are held are in use, and no trim returns them', () => {
  const answer = run(['held', 20_000, 5_000]);
  expect(answer.report.exactness).toBe('exact');
  const inUse = residentOf(answer.report, ['inUse']);
  expect(inUse).toBeGreaterThan(answer.heldBytes);
  expect(inUse).toBeLessThan(answer.heldBytes + ownBytes);
  expectTrim(answer);
});

test('large Buffers are mappings of their own, found with what is resident of them', () => {
  const { report, heldBytes } = run(['held', 4 << 20, 20]);
  const { count = 0, residentBytes = 0 } = report.figures?.mapped ?? {};
  expect(count).toBeGreaterThanOrEqual(20);
  expect(residentBytes).toBeGreaterThanOrEqual(heldBytes);
  expect(residentBytes).toBeLessThan(heldBytes + ownBytes);
});

test('another malloc is named and has no figures', () => {
  const { report } = run(['held', 20_000, 10], { LD_PRELOAD: otherMalloc });
  expect(report).toMatchObject({
    allocator: 'other_malloc.so',
    figures: null,
    exactness: null,
    reason: expect.stringContaining('not known'),
  });
});

test('a process goes on as it was: its children are its own, and nothing is left open', () => {
  const script = `
    const { readOwnMalloc } = await import('${join(root, 'dist/index.js')}');
    const { spawn } = await import('node:child_process');
    const { readdirSync } = await import('node:fs');
    const child = spawn('sleep', ['0.5'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('close', resolve));
    readOwnMalloc();
    const open = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 20; i++) readOwnMalloc();
    const left = readdirSync('/proc/self/fd').length - open;
    console.log(JSON.stringify({ left, code: await ended }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script]);
  expect(JSON.parse(String(output))).toEqual({ left: 0, code: 0 });
});

test('ranges are of whole pages, and with them the arenas', () => {
  const { figures } = readOwnMalloc();
  for (const arena of figures?.arenas ?? []) {
    const bytes = arena.ranges.reduce((sum, one) => sum + one.endAddress - one.startAddress, 0);
    expect(bytes).toBe(arena.all.bytes);
    expect(bytes % 4096).toBe(0);
  }
  expect(figures?.arenas.filter((arena) => arena.isMain)).toHaveLength(1);
});
