/** Views of stacks: each filter, each way up, compared with what is summed up by hand. */
import { describe, expect, test } from 'vitest';
import {
  childrenOf,
  type Filter,
  foundBytes,
  grownBetween,
  nodeAt,
  ownBytes,
  pathOf,
  Stacks,
  type View,
} from '../../src/page/stacks.ts';
import { pageData } from '../../src/report/page_data.ts';
import type { PageData } from '../../src/report/page_model.ts';
import { randomReport } from '../made_reports.ts';

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
const allKinds = new Set([0, 1, 2, 3, 4, 5, 6]);
const plain: Filter = {
  kinds: allKinds,
  thread: null,
  frames: 'mixed',
  hidesInternals: false,
  isInverted: false,
  values: null,
};
const filters: readonly (readonly [string, Partial<Filter>])[] = [
  ['all', {}],
  ['two kinds', { kinds: new Set([0, 6]) }],
  ['no kind', { kinds: new Set() }],
  ['a thread', { thread: 1 }],
  ['JavaScript only', { frames: 'js' }],
  ['native only', { frames: 'native' }],
  ["without Node's own", { hidesInternals: true }],
  ["JavaScript without Node's own", { frames: 'js', hidesInternals: true }],
];

function dataOf(seed: number): PageData {
  return pageData(randomReport({ seed, nodes: 90, rows: 120 }), {
    title: 'x',
    moment: 'peak',
    leftOut: '',
    splitThreads: true,
    isInverted: false,
  });
}

/** Bytes and counts by path, outermost first as it is shown. */
function byHand(data: PageData, filter: Filter): Map<string, [number, number]> {
  const sums = new Map<string, [number, number]>([['', [0, 0]]]);
  const isShown = (frame: number): boolean => {
    const kind = data.frames.kind[frame]!;
    if (filter.hidesInternals && kind === 1) return false;
    return filter.frames === 'mixed' || (filter.frames === 'native') === (kind === 2);
  };
  data.rows.node.forEach((node, row) => {
    if (!filter.kinds.has(data.rows.kind[row]!)) return;
    if (filter.thread !== null && data.rows.thread[row] !== filter.thread) return;
    const bytes = filter.values?.bytes[row] ?? data.rows.bytes[row]!;
    const count = filter.values?.count[row] ?? data.rows.count[row] ?? 0;
    if (bytes <= 0) return;
    const stack: number[] = [];
    for (let at = node; at !== 0; at -= data.nodes.up[at]!) stack.push(data.nodes.frame[at]!);
    const shown = stack.filter(isShown);
    if (!filter.isInverted) shown.reverse();
    for (let depth = 0; depth <= shown.length; depth++) {
      const path = shown.slice(0, depth).join('.');
      const [bytesBefore, countBefore] = sums.get(path) ?? [0, 0];
      sums.set(path, [bytesBefore + bytes, countBefore + count]);
    }
  });
  return sums;
}

function byPath(view: View): Map<string, [number, number]> {
  return new Map(
    Array.from(view.frame, (_, node) => [
      pathOf(view, node).join('.'),
      [view.bytes[node]!, view.count[node]!],
    ]),
  );
}

describe.each([false, true])('upside down: %s', (isInverted) => {
  test.each(filters)('%s', (_, part) => {
    for (const seed of seeds) {
      const data = dataOf(seed);
      const filter = { ...plain, isInverted, ...part };
      const view = new Stacks(data).viewOf(filter);
      expect(byPath(view)).toEqual(byHand(data, filter));
      expect(view.frame.length).toBe(byPath(view).size);
      expect(view.merged).toBe(0);
    }
  });

  test('a range of time has what grew in it', () => {
    for (const seed of seeds) {
      const data = dataOf(seed);
      const values = grownBetween(data, 1, 3);
      const grown = data.rows.node.map(() => 0);
      for (let i = 0; i < data.changes.length; i += 4) {
        const [moment, row, bytes] = data.changes.slice(i, i + 3);
        if (moment === 2 || moment === 3) grown[row!]! += bytes!;
      }
      expect([...values.bytes]).toEqual(grown);
      const filter = { ...plain, isInverted, values };
      expect(byPath(new Stacks(data).viewOf(filter))).toEqual(byHand(data, filter));
    }
  });

  test('children are next to each other, the largest first, and paths lead back', () => {
    const view = new Stacks(dataOf(5)).viewOf({ ...plain, isInverted });
    for (let node = 0; node < view.frame.length; node++) {
      const children = [...childrenOf(view, node)];
      const bytes = children.map((child) => view.bytes[child]!);
      expect(children.map((child) => view.parent[child])).toEqual(children.map(() => node));
      expect(bytes).toEqual(bytes.toSorted((a, b) => b - a));
      expect(ownBytes(view, node)).toBe(bytes.reduce((own, one) => own - one, view.bytes[node]!));
      expect(nodeAt(view, pathOf(view, node))).toBe(node);
    }
    expect(view.deepest).toBe(Math.max(...view.depth));
  });
});

test('upside down, what has no room ends at its innermost function, which is exact', () => {
  for (const seed of seeds) {
    const data = dataOf(seed);
    const filter = { ...plain, isInverted: true };
    const whole = new Stacks(data).viewOf(filter);
    const cut = new Stacks(data, 40).viewOf(filter);
    const innermost = (view: View) =>
      [...byPath(view)].filter(([path]) => !path.includes('.')).sort();
    expect(innermost(cut)).toEqual(innermost(whole));
    expect(cut.merged).toBeGreaterThan(0);
    expect(cut.mergedBytes).toBeLessThan(cut.bytes[0]!);
    expect(cut.frame.length).toBeLessThan(40 + data.frames.name.length);
  }
});

test('functions of a path that a filter hides are passed over', () => {
  const data = dataOf(2);
  const mixed = new Stacks(data).viewOf(plain);
  const js = new Stacks(data).viewOf({ ...plain, frames: 'js' });
  for (let node = 0; node < mixed.frame.length; node++) {
    const path = pathOf(mixed, node);
    const shown = path.filter((frame) => data.frames.kind[frame] !== 2);
    expect(pathOf(js, nodeAt(js, path))).toEqual(shown);
  }
});

test('what is found is counted once, whatever is under it', () => {
  for (const seed of seeds) {
    const data = dataOf(seed);
    const view = new Stacks(data).viewOf(plain);
    const isFound = Uint8Array.from(data.frames.name, (_, frame) => (frame % 4 === 1 ? 1 : 0));
    let expected = 0;
    data.rows.node.forEach((node, row) => {
      let isUnder = false;
      for (let at = node; at !== 0; at -= data.nodes.up[at]!) {
        if (isFound[data.nodes.frame[at]!] === 1) isUnder = true;
      }
      if (isUnder) expected += data.rows.bytes[row]!;
    });
    expect(foundBytes(view, isFound)).toBe(expected);
  }
});
