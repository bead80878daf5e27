/** `memdrift summary` as a user calls it. */
import { afterAll, describe, expect, test } from 'vitest';
import type { FunctionTotal } from '../../src/analysis/functions.ts';
import { Captured, golden } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const capture = captured.record(
  'deep',
  `function fill(bytes) { return Buffer.alloc(bytes, 1); }
   function again(depth) { return depth === 0 ? fill(7_000_001) : again(depth - 1); }
   globalThis.kept = [again(5), fill(2_000_003)];`,
);

function named(functions: readonly FunctionTotal[], name: string): FunctionTotal | undefined {
  return functions.find(({ frame }) => frame.function === name && frame.file.endsWith('deep.cjs'));
}

describe('of a program', () => {
  const args = ['summary', capture, '--leaks', '--kind', 'buffer'];

  test('each function has what it called, recursion once', () => {
    const { functions, totalBytes } = captured.json(...args);
    expect(named(functions, 'again')).toMatchObject({
      totalBytes: 7_000_001,
      totalCount: 1,
      ownBytes: 0,
    });
    expect(named(functions, 'fill')).toMatchObject({ totalBytes: 9_000_004, totalCount: 2 });
    const ownBytes = functions.reduce((sum: number, one: FunctionTotal) => sum + one.ownBytes, 0);
    expect(ownBytes).toBe(totalBytes);
  });

  test("--hide-internals leaves the program's functions, with what Node did for them", () => {
    const { functions } = captured.json(...args, '--hide-internals');
    expect(named(functions, 'fill')).toMatchObject({ ownBytes: 9_000_004, ownCount: 2 });
    expect(functions.every(({ frame }: FunctionTotal) => !frame.file.startsWith('node:'))).toBe(
      true,
    );
  });

  test('as text: the largest first, and what is left', () => {
    const { stdout } = captured.call(...args, '--hide-internals', '-r', '1', '-s', 'own');
    expect(stdout).toMatch(/^9\.\d\d MB live at the end\n/);
    expect(stdout).toMatch(/\n {6}9\.00 +\d+\.\d +9\.00 +\d+\.\d +2 {2}fill {2}.*deep\.cjs:1\n/);
    expect(stdout).toMatch(/\n +\d+\.\d\d +\d+\.\d +\(\d more: --max-rows, or --json\)\n$/);
  });
});

test('what no function of the program asked for has a line, so that own MB add up', () => {
  const { stdout } = captured.call('summary', capture, '--leaks', '--hide-internals');
  const [title = '', ...lines] = stdout.split('\n');
  expect(lines.at(-3)).toMatch(/^ +(\d+\.\d\d +\d+\.\d) +\1 +\(no function\)$/);
  expect(lines.at(-2)).toMatch(/^ +(\d+\.\d\d +\d+\.\d) +\1 +\(memdrift itself\)$/);
  expect(stdout).not.toMatch(/\/tracker\/|memdrift\.node|memdrift::/);
  const own = lines.flatMap((line) => /^ +(\d+\.\d\d) /.exec(line)?.slice(1).map(Number) ?? []);
  const sum = own.reduce((all, one) => all + one, 0);
  expect(Math.abs(sum - Number.parseFloat(title))).toBeLessThan(0.01 * own.length);
});

test('files are in it when they are asked for, and no part of it otherwise', () => {
  expect(captured.json('summary', golden, '--leaks').totalBytes).toBe(36_831);
  expect(captured.json('summary', golden, '--leaks', '--kind', 'file').totalBytes).toBe(4_096);
});

test.each([
  [['-s', 'size'], 'Allowed choices are own, total, count, own-count'],
  [['-r', '0'], 'It takes a whole number from 1'],
])('%j is wrong usage', (flags, message) => {
  const { status, stderr } = captured.call('summary', golden, ...flags);
  expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
});
