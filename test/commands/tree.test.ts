/** `memdrift tree` as text; test/system/ has it in a terminal. */
import { afterAll, describe, expect, test } from 'vitest';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const capture = captured.record(
  'shop',
  `function fill(bytes) { return Buffer.alloc(bytes, 1); }
   function shelf() { return fill(7_000_001); }
   function till() { return fill(2_000_003); }
   function open() { return [shelf(), till()]; }
   globalThis.kept = open();`,
);
const leaks = [capture, '--leaks', '--kind', 'buffer', '--hide-internals'];

describe('as text', () => {
  test('callers first', () => {
    const { stdout, status } = captured.call('tree', ...leaks);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^9\.\d\d MB live at the end, outermost functions first\n/);
    const tree = stdout.split('\n').slice(3, 8);
    expect(tree.map((line) => line.slice(29).replace(/ {2}\/.*/, ''))).toEqual([
      '  (anonymous)',
      '    open',
      '      shelf',
      '        fill',
      '      till',
    ]);
    expect(tree[2]).toMatch(/^ {6}7\.00 +\d\d\.\d +1 /);
  });

  test('callees first, of some depth and of the largest stacks', () => {
    const flags = ['--inverted', '--max-depth', '2', '-b', '1'];
    const { stdout } = captured.call('tree', ...leaks, ...flags);
    const lines = stdout.split('\n').slice(3);
    expect(lines[0]).toMatch(/^ {6}9\.00 .* 2 {4}fill {2}/);
    expect(lines[1]).toMatch(/^ {6}7\.00 .* 1 {6}shelf {2}/);
    expect(lines[2]).toMatch(/^ {6}2\.00 .* 1 {6}\(smaller stacks\)$/);
  });
});
