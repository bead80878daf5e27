import { afterEach, expect, test } from 'vitest';
import { readChildren, withDescendants } from '../../src/group/process_tree.ts';
import { Children } from '../children.ts';

const children = new Children();
afterEach(() => children.endAll());

test('descendants follow their parents, each process once', () => {
  const tree = new Map([
    [1, [5, 2]],
    [2, [3]],
    [3, [4]],
  ]);
  expect(withDescendants([1], tree)).toEqual([1, 2, 3, 4, 5]);
  expect(withDescendants([3, 2, 3], tree)).toEqual([3, 4, 2]);
  expect(withDescendants([9], tree)).toEqual([9]);
});

test('a parent that is its own ancestor ends the walk', () => {
  const tree = new Map([
    [1, [2]],
    [2, [1]],
  ]);
  expect(withDescendants([1], tree)).toEqual([1, 2]);
});

test('the real tree has a child below this process, and a grandchild below it', async () => {
  const child = await children.node(
    "const { spawn } = require('node:child_process');" +
      "const one = spawn('sleep', ['100']); process.on('exit', () => one.kill());" +
      "console.log(one.pid); process.stdin.on('data', () => process.exit());",
  );
  const tree = readChildren();
  expect(tree.get(process.pid)).toContain(child.pid);
  expect(withDescendants([process.pid], tree)).toHaveLength(
    1 + withDescendants(tree.get(process.pid) ?? [], tree).length,
  );
  const [grandchild] = tree.get(child.pid) ?? [];
  expect(withDescendants([child.pid], tree)).toEqual([child.pid, grandchild]);
  process.kill(grandchild as number);
});
