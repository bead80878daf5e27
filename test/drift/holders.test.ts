/** Who holds a mapping, by what the kernel says of it alone. */
import { describe, expect, test } from 'vitest';
import { countIsolates, type HolderRules, holdersOf } from '../../src/drift/holders.ts';
import { stacksOf } from '../../src/drift/stacks.ts';
import { rowsOf } from './made_facts.ts';

const rules: HolderRules = {
  ownFile: '/srv/memdrift.node',
  stackRows: new Set(),
  rest: 'unexplained',
  isSurelyNode: true,
  allocator: null,
};

const kB = 1024;
const MB = 1024 * kB;
const dontFork = 'rd wr mr mw me dc nr';

describe('holders of mappings', () => {
  test('a program is its file and the data behind it that its file does not have', () => {
    const program = { name: '/usr/bin/node', inode: 7 };
    const rows = rowsOf([
      { start: 0, end: 4096, perms: 'r-xp', ...program },
      { start: 4096, end: 8192, perms: 'rw-p', ...program },
      { start: 8192, end: 12288 },
      { start: 16384, end: 20480 },
    ]);
    expect(holdersOf(rows, rules)).toEqual([
      'file-code',
      'file-code',
      'file-private',
      'unexplained',
    ]);
  });

  test('a file of which nothing can be executed is data; our own is ours', () => {
    const rows = rowsOf([
      { start: 0, end: 4096, perms: 'r--s', name: '/srv/data.mdb', inode: 8 },
      { start: 4096, end: 8192, perms: 'r-xp', name: '/srv/memdrift.node', inode: 9 },
      { start: 8192, end: 12288, perms: 'rw-p', name: '/srv/memdrift.node', inode: 9 },
    ]);
    expect(holdersOf(rows, rules)).toEqual(['file-data', 'memdrift', 'memdrift']);
  });

  test.each([
    ['/dev/shm/memdrift.store', 5, 'shared-segment'],
    ['/memfd:wayland', 5, 'shared-segment'],
    ['/SYSV00000000', 5, 'shared-segment'],
    ['/dev/zero', 5, 'shared-segment'],
    ['/dev/nvidia0', 5, 'kernel-special'],
    ['[vdso]', 0, 'kernel-special'],
    ['[stack]', 0, 'thread-stacks'],
    ['[heap]', 0, 'unexplained'],
    ['[anon:scudo]', 0, 'unexplained'],
    ['[anon: glibc: pthread stack: 12]', 0, 'thread-stacks'],
  ] as const)('%s', (name, inode, holder) => {
    expect(holdersOf(rowsOf([{ start: 0, end: 4096, name, inode }]), rules)).toEqual([holder]);
  });

  test('V8 keeps its memory from children; an addon that maps is nobody’s that we know', () => {
    const rows = rowsOf([
      { start: 256 * kB, end: 512 * kB, flags: dontFork },
      { start: MB, end: 2 * MB, perms: 'rwxp', flags: `${dontFork} ex` },
      { start: 2 * MB, end: 3 * MB },
    ]);
    expect(holdersOf(rows, rules)).toEqual(['v8', 'v8-code', 'unexplained']);
  });

  test('V8 chooses addresses that the kernel does not, where the stack is above them', () => {
    const chosen = { start: 2 ** 40, end: 2 ** 40 + MB };
    const known = { start: 2 ** 41, end: 2 ** 41 + MB, flags: dontFork };
    const stack = { start: 2 ** 47 - MB, end: 2 ** 47, name: '[stack]' };
    const near = { start: 2 ** 46 + MB, end: 2 ** 46 + 2 * MB };
    expect(holdersOf(rowsOf([chosen, known, near, stack]), rules).slice(0, 3)).toEqual([
      ...['v8', 'v8', 'unexplained'],
    ]);
    // As with addresses of 39 bits.
    expect(holdersOf(rowsOf([chosen, known]), rules)).toEqual(['unexplained', 'v8']);
  });

  test('where V8 does not, it is what is reserved and begins where its pages do', () => {
    const rows = rowsOf([
      { start: 256 * kB, end: 512 * kB, flags: 'rd wr nr' },
      { start: 516 * kB, end: 520 * kB, flags: 'rd wr nr' },
    ]);
    expect(holdersOf(rows, rules)).toEqual(['v8', 'unexplained']);
    const other = { ...rules, isSurelyNode: false, allocator: null };
    expect(holdersOf(rows, other)).toEqual(['unexplained', 'unexplained']);
  });

  test('the stack of a thread that has ended is a stack, behind its guard', () => {
    const guard = { start: 0, end: 4096, perms: '---p', flags: 'mr mw me nh' };
    const stack = { start: 4096, end: MB, flags: 'rd wr ac nh' };
    expect(holdersOf(rowsOf([guard, stack]), rules)[1]).toBe('thread-stacks');
    expect(holdersOf(rowsOf([stack]), rules)[0]).toBe('unexplained');
  });
});

describe('stacks of threads', () => {
  test('are the mappings with a control block at their ends', () => {
    const rows = rowsOf([{ start: MB, end: 2 * MB }]);
    expect(stacksOf(rows, [2 * MB - 2000])).toEqual({ rows: new Set([0]), claims: [] });
  });

  test('are the lower part, where the kernel has made one mapping with what is above', () => {
    const rows = rowsOf([{ start: MB, end: 4 * MB }]);
    const claim = { start: MB, end: 2 * MB, holder: 'thread-stacks' };
    expect(stacksOf(rows, [2 * MB - 2300])).toEqual({ rows: new Set(), claims: [claim] });
  });
});

test('isolates are counted by their ranges for code, which lie side by side or split', () => {
  const code = { perms: 'rwxp', flags: `${dontFork} ex` };
  const free = { perms: '---p', flags: 'mr mw me dc nr', rss: 0 };
  const rows = rowsOf([
    { start: 0, end: MB, ...code },
    { start: MB, end: 512 * MB, ...free },
    { start: 1024 * MB, end: 1536 * MB, ...code },
    { start: 1536 * MB, end: 1600 * MB, ...free },
    { start: 2048 * MB, end: 3000 * MB, ...free },
  ]);
  expect(countIsolates(rows)).toBe(2);
});
