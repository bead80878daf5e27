/** `memdrift table` and `live` as a user calls them. */
import { afterAll, expect, test } from 'vitest';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const capture = captured.record(
  'leak',
  `const kept = new Map();
   function keep(key, text) { kept.set(key, text ? Buffer.from(text) : Buffer.alloc(3_000_000)); }
   keep(1); keep(2, 'x'.repeat(4_000_000));`,
);

test.each([
  ['table', ['--leaks', '--kind', 'buffer']],
  ['live', []],
])("%s --hide-internals: under the function that is the program's", (command, flags) => {
  const { stdout } = captured.call(command, capture, ...flags, '--hide-internals', '-n', '1');
  // Two ways through Node to get a Buffer, one place in the program.
  expect(stdout).toMatch(
    /\n7\.0\d MB {2}buffer, .*\n {4}keep {2}.*leak\.cjs:2\n {4}\(anonymous\) .*\n/,
  );
  expect(stdout).not.toContain('node:');
});

test('what is left is reached by options that the command has', () => {
  expect(captured.call('table', capture).stdout).toMatch(/more rows: --rows, or --json for all\n$/);
  expect(captured.call('live', capture).stdout).toMatch(/more rows: --rows\n$/);
});

test('live takes whole rows only', () => {
  const { status, stderr } = captured.call('live', capture, '-n', '1.5');
  expect([status, stderr]).toEqual([2, expect.stringContaining('It takes a whole number from 1')]);
});
