/** The call tree: against sums that are made of paths as texts. */
import { describe, expect, test } from 'vitest';
import { type CallTree, callTree, treeLines } from '../../src/analysis/call_tree.ts';
import { frameOf, type GivenRow, randomOf, randomRows, reportOf } from '../made_reports.ts';

const everything = { isInverted: false, hidesInternals: false, biggest: Number.MAX_SAFE_INTEGER };

/** Bytes by path: `a:1>b:1`. */
function pathsOf({ nodes }: CallTree): Record<string, number> {
  const names: string[] = [''];
  const paths: Record<string, number> = {};
  for (const [i, { frame, parent, bytes }] of nodes.entries()) {
    if (frame === null) continue;
    names[i] = `${names[parent]}>${frame.function}${frame.file}${frame.line}`;
    paths[names[i]] = bytes;
  }
  return paths;
}

function slowPaths(rows: readonly GivenRow[], isInverted: boolean): Record<string, number> {
  const paths: Record<string, number> = {};
  for (const { stack, bytes } of rows) {
    if (bytes === 0) continue;
    let path = '';
    for (const frame of isInverted ? stack.toReversed() : stack) {
      path += `>${frame.function}${frame.file}${frame.line}`;
      paths[path] = (paths[path] ?? 0) + bytes;
    }
  }
  return paths;
}

/** What a node holds is its own, its children's, and what is too small to be shown. */
function expectWhole({ nodes }: CallTree): void {
  for (const { bytes, count, ...node } of nodes) {
    const children = node.children.map((child) => nodes[child]);
    const sum = (name: 'bytes' | 'count') =>
      children.reduce((all, child) => all + (child?.[name] as number), 0);
    expect(node.ownBytes + node.restBytes + sum('bytes')).toBe(bytes);
    expect(node.ownCount + node.restCount + sum('count')).toBe(count);
  }
}

describe('callTree', () => {
  const seeds = Array.from({ length: 30 }, (_, seed) => seed);
  test.each(seeds)('of random stacks, either way up, seed %i', (seed) => {
    const rows = randomRows(randomOf(seed));
    for (const isInverted of [false, true]) {
      const tree = callTree(reportOf(rows), { ...everything, isInverted });
      expect(pathsOf(tree)).toEqual(slowPaths(rows, isInverted));
      expectWhole(tree);
      expect(tree.nodes[0]?.bytes).toBe(rows.reduce((sum, { bytes }) => sum + bytes, 0));
    }
  });

  test.each(seeds)('of the biggest stacks has what they are in whole, seed %i', (seed) => {
    const rows = randomRows(randomOf(seed));
    const tree = callTree(reportOf(rows), { ...everything, biggest: 5 });
    expectWhole(tree);
    const all = slowPaths(rows, false);
    const shown = Object.keys(slowPaths(rows.slice(0, 5), false));
    expect(pathsOf(tree)).toEqual(Object.fromEntries(shown.map((path) => [path, all[path]])));
  });

  test('without internals a call through Node is one of the program', () => {
    const internal = frameOf('emit', { file: 'node:events' });
    const [outer, inner] = [frameOf('outer'), frameOf('inner')];
    const rows: GivenRow[] = [
      { stack: [internal, outer, internal, inner], bytes: 5 },
      { stack: [outer, inner, internal], bytes: 3 },
      { stack: [internal], bytes: 2 },
    ];
    const tree = callTree(reportOf(rows), { ...everything, hidesInternals: true });
    expect(Object.values(pathsOf(tree))).toEqual([8, 8]);
    expect(tree.nodes[0]).toMatchObject({ bytes: 10, ownBytes: 2 });
  });
});

test('treeLines are the open nodes, largest first, with what callers hold besides', () => {
  const [a, b, c] = [frameOf('a'), frameOf('b'), frameOf('c')];
  const rows: GivenRow[] = [
    { stack: [a, b], bytes: 9 },
    { stack: [a, c], bytes: 5 },
    { stack: [a], bytes: 4 },
    { stack: [a, a], bytes: 1 },
    { stack: [b], bytes: 1 },
  ];
  const tree = callTree(reportOf(rows), { ...everything, biggest: 3 });
  const texts = (isOpen: boolean) =>
    treeLines(tree, () => isOpen).map(
      ({ node, depth, part }) => `${depth} ${part} ${tree.nodes[node]?.frame?.function}`,
    );
  expect(texts(false)).toEqual(['0 function a', '0 rest undefined']);
  expect(texts(true)).toEqual([
    '0 function a',
    '1 function b',
    '1 function c',
    '1 own a',
    '1 rest a',
    '0 rest undefined',
  ]);
});
