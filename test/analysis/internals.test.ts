/** What is Node's own, and stacks without it. */
import { describe, expect, test } from 'vitest';
import { functionTotals } from '../../src/analysis/functions.ts';
import { isInternal, joinedRows, withoutInternals } from '../../src/analysis/internals.ts';
import { sumOfRows, tableRows } from '../../src/analysis/report_rows.ts';
import { frameOf, type GivenRow, randomOf, randomRows, reportOf } from '../made_reports.ts';

describe('isInternal', () => {
  const native = (file: string) => frameOf('f', { native: true, file });
  test.each([
    [true, frameOf('require', { file: 'node:internal/modules' })],
    [true, frameOf('Builtin:ArrayMap', { file: '' })],
    [true, native('/usr/bin/node')],
    [true, native('/opt/mine')],
    [true, native('/lib/x86_64-linux-gnu/libc.so.6')],
    [true, native('/lib/x86_64-linux-gnu/libstdc++.so.6')],
    [true, native('/lib64/ld-linux-x86-64.so.2')],
    [true, native('')],
    [false, frameOf("(V8's heap: free room)", { native: true, file: '' })],
    [false, frameOf('(no JavaScript on the stack: GC)', { native: true, file: '' })],
    [true, native('/app/node_modules/memdrift/build/Release/memdrift.node')],
    [true, frameOf('f', { file: '/app/node_modules/memdrift/dist/tracker/preload.cjs' })],
    [true, frameOf('f', { file: '/app/node_modules/memdrift/dist/drift/inside_facts.cjs' })],
    [true, frameOf('f', { file: '/app/node_modules/memdrift/src/tracker/control.cts' })],
    [false, frameOf('f', { file: '/app/dist/tracker/preload.js' })],
    [false, native('/app/node_modules/sharp/build/sharp.node')],
    [false, native('/app/libvips.so.42')],
    [false, native('/app/libcurl.so.4')],
    [false, frameOf('main')],
    [false, frameOf('', { file: 'evalmachine.<anonymous>' })],
  ])('%s: %j', (expected, frame) => expect(isInternal(frame, '/opt/mine')).toBe(expected));
});

describe('withoutInternals', () => {
  test.each(Array.from({ length: 20 }, (_, seed) => seed))('random stacks, seed %i', (seed) => {
    const random = randomOf(seed);
    const inner = [
      frameOf('x', { file: 'node:fs' }),
      frameOf('malloc', { file: '', native: true }),
    ];
    const rows: GivenRow[] = randomRows(random).map((row) => ({
      ...row,
      stack: row.stack.flatMap((frame) => (random(2) ? [frame] : [frame, ...inner])),
    }));
    const bare = rows.map((row) => ({
      ...row,
      stack: row.stack.filter((frame) => !inner.includes(frame)),
    }));
    const sorted = (given: ReturnType<typeof functionTotals>) =>
      given.map((one) => JSON.stringify(one)).sort();
    const shown = withoutInternals(reportOf(rows));
    expect(sorted(functionTotals(shown))).toEqual(sorted(functionTotals(reportOf(bare))));
    expect(sumOfRows(shown)).toBe(sumOfRows(reportOf(rows)));
  });
});

test("keeps objects under Node's innermost function when no other function made them", () => {
  const at = (name: string, file: string) => frameOf(name, { file });
  const [read, push] = [at('onStreamRead', 'node:internal/streams'), at('push', 'node:streams')];
  const builtin = at('Array.map', '');
  const free = frameOf("(V8's heap: free room)", { native: true, file: '' });
  const rows: GivenRow[] = [
    { stack: [free], bytes: 8, kind: 'jsheap' },
    { stack: [read, push, builtin], bytes: 4, kind: 'jsheap' },
    { stack: [read, read, push], bytes: 3, kind: 'jsheap' },
    { stack: [builtin], bytes: 2, kind: 'jsheap' },
    { stack: [read, push], bytes: 1, kind: 'malloc' },
  ].map((row) => ({ ...row, count: 1 }) as GivenRow);
  const shown = tableRows(joinedRows(withoutInternals(reportOf(rows))));
  expect(
    shown.map(({ bytes, kind, stack }) => [bytes, kind, stack.map((one) => one.function).join()]),
  ).toEqual([
    [8, 'jsheap', "(V8's heap: free room)"],
    [7, 'jsheap', 'push'],
    [2, 'jsheap', ''],
    [1, 'malloc', ''],
  ]);
});

test('joinedRows: stacks that came to be the same are one, with what all of them held', () => {
  const [main, hidden] = [frameOf('main'), frameOf('alloc', { file: 'node:buffer' })];
  const rows: GivenRow[] = [
    { stack: [main, frameOf('other')], bytes: 6, count: 1 },
    { stack: [main, hidden], bytes: 5, count: 2 },
    { stack: [main], bytes: 4, count: 3 },
    { stack: [main], bytes: 3, count: 1, kind: 'mmap' },
    { stack: [hidden], bytes: 1, count: 1 },
  ];
  const merged = joinedRows(withoutInternals(reportOf(rows)));
  const told = tableRows(merged).map(({ bytes, count, kind, stack }) => {
    return [bytes, count, kind, stack.map((frame) => frame.function).join(' ')];
  });
  expect(told).toEqual([
    [9, 5, 'malloc', 'main'],
    [6, 1, 'malloc', 'other main'],
    [3, 1, 'mmap', 'main'],
    [1, 1, 'malloc', ''],
  ]);
});
