/** Captures with `jsHeap`: objects of JavaScript under the functions that made them. */
import { afterAll, describe, expect, test } from 'vitest';
import { joinedRows, withoutInternals } from '../../src/analysis/internals.ts';
import { tableRows } from '../../src/analysis/report_rows.ts';
import { readCaptureReport, readCaptureTable } from '../../src/capture/capture.ts';
import type { CaptureTable, Frame } from '../../src/capture/capture_model.ts';
import { checkedTrackerOptions } from '../../src/tracker/options.ts';
import { fixture, GroundTruth, heldUnder, leaksOf, rowsOf } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

const mb = 1_000_000;
const heapOf = (table: CaptureTable, name: string): number => heldUnder(table, name).jsheap ?? 0;

describe('a program whose objects are known', async () => {
  const run = await truth.run(fixture('js_heap.cjs'), { flags: ['--js-heap'] });
  const table = await leaksOf(run);
  const told = JSON.parse(run.stdout) as { heapUsed: number; heapTotal: number };

  test('what functions hold is under them, within the error of a sample', () => {
    // 40 arrays of 65,536 numbers of 8 bytes, and what they grew out of may still lie there.
    expect(heapOf(table, 'holds_numbers')).toBeGreaterThan(20 * mb);
    expect(heapOf(table, 'holds_numbers')).toBeLessThan(32 * mb);
    // 200,000 objects of a header of 24 bytes, three numbers of 8, and an array of places.
    expect(heapOf(table, 'holds_objects')).toBeGreaterThan(8 * mb);
    expect(heapOf(table, 'holds_objects')).toBeLessThan(16 * mb);
  });

  test('what a function dropped is not under it', () => {
    expect(heapOf(table, 'drops')).toBeLessThan(mb);
  });

  test('a function has its file and where it is defined', () => {
    const [row] = rowsOf(table, 'holds_objects').filter((one) => one.kind === 'jsheap');
    expect(row?.stack[0]).toMatchObject({ native: false });
    const frame = row?.stack.find((one) => one.function === 'holds_objects');
    expect(frame).toMatchObject({ file: fixture('js_heap.cjs'), functionLine: 6 });
  });

  test('samples have no count, and other kinds keep theirs', () => {
    const counts = table.rows.filter((row) => row.kind === 'jsheap').map((row) => row.count);
    expect(new Set(counts)).toEqual(new Set([null]));
    expect(heldUnder(table, 'holds_buffer').buffer).toBe(16 << 20);
  });

  test("V8's own mappings are its heap, and are not counted twice", () => {
    const heap = table.rows.filter((row) => row.kind === 'jsheap');
    const heapBytes = heap.reduce((sum, row) => sum + row.bytes, 0);
    // V8 reserves more than it commits, and the heap that stood before the capture is in no row.
    expect(heapBytes).toBeGreaterThan(told.heapUsed * 0.8);
    expect(heapBytes).toBeLessThan(told.heapTotal * 1.6);
    const mapped = table.rows.filter((row) => row.kind === 'mmap');
    const ofV8 = mapped.filter((row) =>
      row.stack.slice(0, 6).some((frame) => frame.function.includes('MemoryAllocator::')),
    );
    expect(ofV8).toEqual([]);
  });

  test('the rows of the heap’s kinds are the total', () => {
    const kinds = ['malloc', 'buffer', 'mmap', 'jsheap'];
    const rows = table.rows.filter((row) => kinds.includes(row.kind));
    expect(rows.reduce((sum, row) => sum + row.bytes, 0)).toBe(table.totalBytes);
  });
});

/** The counts that a case prints before it exits. */
interface Counted {
  readonly heapTotal: number;
  readonly heapUsed: number;
  readonly workerHeapTotal?: number;
}

async function partsOf(name: string, args: readonly string[] = []) {
  const options = { node: ['--expose-gc'], flags: ['--js-heap'], args };
  const run = await truth.run(fixture(`../drift/cases/${name}`), options);
  const counted = JSON.parse(run.stdout.split('\n')[0] ?? '') as Counted;
  const [capture = ''] = run.captures;
  const report = joinedRows(withoutInternals(await readCaptureReport(capture, { moment: 'end' })));
  const rows = tableRows(report).filter(({ kind }) => kind === 'jsheap');
  const sum = (test: (frame: Frame | undefined) => boolean) =>
    rows.reduce((bytes, { stack, ...row }) => bytes + (test(stack[0]) ? row.bytes : 0), 0);
  return {
    counted,
    all: sum(() => true),
    noFunction: sum((frame) => frame === undefined),
    others: sum((frame) => frame?.function === "(V8's heap: other isolates)"),
    free: sum((frame) => frame?.function === "(V8's heap: free room)"),
    under: (file: string) => sum((frame) => frame?.file.startsWith(file) === true),
  };
}

describe("with Node's own functions hidden", () => {
  test('keeps free room apart from objects', async () => {
    const parts = await partsOf('kept_stores.cjs');
    const { heapTotal, heapUsed } = parts.counted;
    expect(Math.abs(parts.all - heapTotal)).toBeLessThan(0.05 * heapTotal);
    expect(Math.abs(parts.free - (heapTotal - heapUsed))).toBeLessThan(6 * mb);
    expect(parts.free).toBeGreaterThan(20 * mb);
    expect(parts.under(fixture('../drift/cases/'))).toBeGreaterThan(0.7 * heapUsed);
    expect(parts.noFunction).toBeLessThan(mb);
  });

  test('keeps heaps of other isolates apart', async () => {
    const parts = await partsOf('kept_stores.cjs', ['worker']);
    const { workerHeapTotal = 0 } = parts.counted;
    expect(workerHeapTotal).toBeGreaterThan(16 * mb);
    expect(Math.abs(parts.others - workerHeapTotal)).toBeLessThan(2 * mb);
    expect(Math.abs(parts.all - parts.others - parts.counted.heapTotal)).toBeLessThan(2 * mb);
  });

  test('names Node’s function that holds strings when no other function made them', async () => {
    const parts = await partsOf('exec_output.cjs');
    expect(Math.abs(parts.all - parts.counted.heapTotal)).toBeLessThan(
      0.15 * parts.counted.heapTotal,
    );
    // 90 MB of output, one byte a character; twice while it is joined.
    expect(parts.under('node:')).toBeGreaterThan(80 * mb);
    expect(parts.noFunction).toBeLessThan(mb);
  });
});

test('the peak has what V8 said about then', async () => {
  const options = { flags: ['--js-heap'], args: ['busy'] };
  const run = await truth.run(fixture('js_heap.cjs'), options);
  const [capture = ''] = run.captures;
  const table = await readCaptureTable(capture, { leaks: false });
  expect(heapOf(table, 'holds_numbers')).toBeGreaterThan(20 * mb);
  expect(table.stats.damage).toBeNull();
});

test('it is refused without native stacks, by which V8’s own mappings are known', () => {
  expect(() => checkedTrackerOptions({ jsHeap: true, nativeStacks: false })).toThrow(
    /nativeStacks.*true with jsHeap/,
  );
});
