/** Captures with `lines`: at which line a function was, and which were compiled into it. */
import { afterAll, describe, expect, test } from 'vitest';
import type { Frame } from '../../src/capture/capture_model.ts';
import { fixture, GroundTruth, leaksOf, rowsOf } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

describe('a program that allocates at known lines', async () => {
  const options = { flags: ['--lines'], node: ['--allow-natives-syntax'] };
  const table = await leaksOf(await truth.run(fixture('lines.cjs'), options));
  const framesOf = (bytes: number): readonly Frame[] => {
    const row = table.rows.find((one) => one.bytes === bytes);
    return row?.stack.filter((frame) => frame.file === fixture('lines.cjs')) ?? [];
  };
  const placesOf = (bytes: number) => framesOf(bytes).map((one) => [one.function, one.line]);

  test.each([
    [1_000_001, 16],
    [1_000_002, 17],
    [1_000_004, 22],
  ])('%i bytes at line %i', (bytes, line) => {
    expect(placesOf(bytes)).toEqual([
      ['lines', line],
      ['', 25],
    ]);
  });

  test('a Buffer is at the line of who asked Node for it', () => {
    const row = rowsOf(table, 'lines').find((one) => one.stack.some((f) => f.function === 'alloc'));
    expect(row?.bytes).toBe(64 << 20);
    expect(row?.stack.find((frame) => frame.function === 'lines')?.line).toBe(18);
  });

  test('an ArrayBuffer is at the line that makes it', () => {
    const rows = table.rows.filter((one) => one.bytes === 64 << 20);
    const lines = rows.map((row) => row.stack.find((f) => f.function === 'lines')?.line);
    expect(lines.sort()).toEqual([18, 19]);
  });

  test('a function that a builtin calls, and who called the builtin', () => {
    expect(placesOf(1_000_003)).toEqual([
      ['', 20],
      ['lines', 20],
      ['', 25],
    ]);
  });

  test('functions that were compiled into another are there, each at its line', () => {
    const row = table.rows.find((one) => one.bytes === 2_000_001);
    const inner = row?.stack.filter((frame) => frame.file === fixture('lines.cjs')) ?? [];
    expect(inner.map((frame) => [frame.function, frame.line])).toEqual([
      ['leaf', 5],
      ['middle', 10],
      ['outer', 13],
      ['', 27],
    ]);
    expect(inner.some((frame) => frame.inlined)).toBe(true);
  });

  test('code that eval was given has no file, and lines of its own', () => {
    const row = table.rows.find((one) => one.bytes === 1_000_005);
    const functions = row?.stack.filter((frame) => !frame.native) ?? [];
    expect(functions[0]).toMatchObject({ file: '', line: 3 });
    expect(functions[1]).toMatchObject({ file: fixture('lines.cjs'), line: 29 });
  });

  test('our own threads and what V8 notes for us are not the program', () => {
    expect(table.stats).toMatchObject({ droppedRecords: 0, damage: null });
    const threads = new Set(table.rows.map((row) => row.thread));
    expect([...threads].filter((name) => /V8 ?Prof|ProfEvn/i.test(name))).toEqual([]);
  });
});

test('a worker has lines, and they are told when it ends', async () => {
  const table = await leaksOf(await truth.run(fixture('worker.cjs'), { flags: ['--lines'] }));
  const [row] = rowsOf(table, 'in_worker').filter((one) => one.bytes === 3_000_002);
  expect(row?.stack.find((frame) => frame.function === 'in_worker')?.line).toBe(12);
});

test('without them there are none', async () => {
  const node = ['--allow-natives-syntax'];
  const table = await leaksOf(await truth.run(fixture('lines.cjs'), { node }));
  // Native ones have them of the debug info of the machine, if it has any.
  const frames = table.rows.flatMap((row) => row.stack).filter((frame) => !frame.native);
  expect(frames.filter((frame) => frame.line !== null || frame.inlined)).toEqual([]);
});

test('a user can profile the processor at the same time', async () => {
  const code = `
    const { Session } = require('node:inspector');
    const truth = require(process.env.GROUND_TRUTH);
    const session = new Session();
    session.connect();
    for (let i = 0; i < 20; i++) {
      session.post('Profiler.enable');
      session.post('Profiler.start');
      truth.free(truth.malloc(1000 + i));
      session.post('Profiler.stop', (error, { profile }) => {
        if (error || profile.nodes.length === 0) throw new Error('no profile');
      });
      session.post('Profiler.disable');
    }`;
  const run = await truth.run('', { flags: ['--lines', '-e', code] });
  expect(run).toMatchObject({ code: 0 });
  expect((await leaksOf(run)).stats).toMatchObject({ droppedRecords: 0, damage: null });
});
