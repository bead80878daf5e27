/** Which processes are shown, and in which order. */
import { describe, expect, test } from 'vitest';
import { firstView, type TopView, topRows } from '../../src/report/top_view.ts';
import { type MadeProcess, processOf } from './made_look.ts';

function pidsOf(processes: readonly MadeProcess[], view: Partial<TopView>): number[] {
  const rows = topRows(processes.map(processOf), { ...firstView, ...view });
  return rows.map(({ process }) => process.pid);
}

const some: readonly MadeProcess[] = [
  { pid: 1, parentPid: 0, name: 'init', anon: 5, shmem: 1, pss: 3 },
  { pid: 2, parentPid: 1, name: 'Server', anon: 1, shmem: 9, pss: null },
  { pid: 3, parentPid: 2, name: 'client', anon: 2, file: 9, pss: 9, command: 'node --role=Cli' },
  { pid: 4, parentPid: 1, name: 'client', anon: 2, pss: 0 },
];

describe('order', () => {
  test.each([
    ['rss', [3, 2, 1, 4]],
    ['pss', [3, 1, 4, 2]],
    ['anon', [1, 3, 4, 2]],
    ['file', [3, 1, 2, 4]],
    ['shmem', [2, 1, 3, 4]],
    ['pid', [1, 2, 3, 4]],
    ['name', [2, 3, 4, 1]],
  ] as const)('by %s has the largest first, what is not known last', (sort, pids) => {
    expect(pidsOf(some, { sort })).toEqual(pids);
  });

  test('turned round, equals stay in the order of their numbers', () => {
    expect(pidsOf(some, { sort: 'anon', isReversed: true })).toEqual([2, 3, 4, 1]);
  });
});

describe('a filter', () => {
  test.each([
    ['CLIENT', [3, 4]],
    ['role=cli', [3]],
    ['2', [2]],
    ['nobody', []],
  ])('%j leaves those with it in name, arguments or number', (filter, pids) => {
    expect(pidsOf(some, { filter, sort: 'pid' })).toEqual(pids);
  });
});

describe('a tree', () => {
  const tree = { isTree: true, sort: 'pid' } as const;

  test('has children below their parents, in the order that was asked for', () => {
    expect(pidsOf(some, tree)).toEqual([1, 2, 3, 4]);
    expect(pidsOf(some, { ...tree, isReversed: true })).toEqual([1, 4, 2, 3]);
  });

  test('tells which branches go on', () => {
    const rows = topRows(some.map(processOf), { ...firstView, ...tree });
    expect(rows.map(({ branches }) => branches)).toEqual([[], [true], [true, false], [false]]);
  });

  test('keeps the parents of what the filter leaves', () => {
    expect(pidsOf(some, { ...tree, filter: 'role=cli' })).toEqual([1, 2, 3]);
  });

  test('shows those without a parent in it, whatever numbers say', () => {
    const odd = [
      { pid: 5, parentPid: 99 },
      { pid: 6, parentPid: 6 },
      { pid: 7, parentPid: 8 },
      { pid: 8, parentPid: 7 },
    ];
    expect(pidsOf(odd, tree)).toEqual([5, 6, 7, 8]);
  });

  test('a long chain of parents is no problem', () => {
    const chain = Array.from({ length: 5000 }, (_, i) => ({ pid: i + 1, parentPid: i }));
    expect(pidsOf(chain, tree)).toHaveLength(5000);
  });
});
