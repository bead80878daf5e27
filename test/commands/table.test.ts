/** `memdrift table` and `live` as a user calls them. */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Captured, golden } from './captured.ts';

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
  expect(captured.call('table', capture).stdout).toMatch(/more rows: --rows, or --json for all$/m);
  expect(captured.call('live', capture).stdout).toMatch(/more rows: --rows$/m);
});

test('of a capture with samples the title says that numbers are estimates', () => {
  const sampled = join(captured.folder, 'sampled.mdc');
  const code = 'globalThis.kept = Array.from({ length: 60 }, () => Buffer.alloc(100_000));';
  captured.call('run', '-o', sampled, '--sample-bytes', '300000', '-e', code);
  const title = /^[+]?\d+\.\d\d MB live.*, estimated; counts are of samples/;
  for (const command of ['table', 'summary', 'tree', 'live']) {
    expect(captured.call(command, sampled).stdout).toMatch(new RegExp(title, 'm'));
  }
  expect(captured.call('diff', sampled, '--to', 'peak').stdout).toMatch(title);
  expect(captured.call('diff', sampled, capture).stdout).toMatch(/counts are of samples/);
  expect(captured.call('table', capture).stdout).not.toContain('samples');
});

interface Block {
  /** Of its title. */
  readonly totalBytes: number;
  readonly rows: number;
  readonly left: number;
  /** Of all rows, with that of the rest. */
  readonly sumBytes: number;
}

/** The blocks of a table's text, each with the figures that it shows. */
function blocksOf(text: string): readonly Block[] {
  return text.split('Not in the total: ').map((block) => {
    const sizes = [...block.matchAll(/^(\d+\.\d\d) MB {2}/gm)].map((found) => Number(found[1]));
    const rest = /^(\d+\.\d\d) MB in ([\d,]+) more rows?: --rows/m.exec(block);
    const restBytes = Number(rest?.[1] ?? 0);
    return {
      totalBytes: Number(/(\d+\.\d\d) MB(?: live .*)?\n/.exec(block)?.[1]),
      rows: sizes.length,
      left: Number(rest?.[2]?.replaceAll(',', '') ?? 0),
      sumBytes: sizes.reduce((sum, size) => sum + size, restBytes),
    };
  });
}

const rows: { kind: string }[] = captured.json('table', golden, '--leaks').rows;
const all = rows.filter(({ kind }) => !['file', 'shm', 'stack'].includes(kind)).length;

describe.each([
  ['table', ['--leaks'], 'live at the end'],
  ['live', [], 'live now'],
])('%s', (command, flags, what) => {
  test.each([1, all, all + 1])('shows %i rows, and a row for the rest', (most) => {
    const { stdout, status } = captured.call(command, golden, ...flags, '-n', String(most));
    const shown = Math.min(most, all);
    const [counted] = blocksOf(stdout);
    expect([status, counted?.rows, counted?.left]).toEqual([0, shown, all - shown]);
    expect(stdout).toContain(` MB ${what}\n\n`);
  });

  test.each([golden, capture])(
    'shows totals that are the sums of the rows below, in %s',
    (file) => {
      for (const most of ['1', '3', '1000']) {
        const { stdout } = captured.call(command, file, ...flags, '-n', most);
        const blocks = blocksOf(stdout);
        expect(blocks).toHaveLength(2);
        for (const { totalBytes, sumBytes, rows: shown } of blocks)
          expect(Math.abs(sumBytes - totalBytes)).toBeLessThan(0.006 * (shown + 2));
      }
    },
  );

  test.each(['0', '1.5', 'x'])('%s is no number of rows', (rows) => {
    const { status, stderr } = captured.call(command, golden, '--rows', rows);
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining('It takes a whole number from 1'),
    ]);
  });
});

test('kinds that are asked for are all that is in it, and --json has its options', () => {
  const { rows, totalBytes, options } = captured.json('table', golden, '--leaks', '--kind', 'file');
  expect(new Set(rows.map(({ kind }: { kind: string }) => kind))).toEqual(new Set(['file']));
  expect(totalBytes).toBe(4_096);
  expect(options).toEqual({ file: golden, leaks: true, kind: ['file'] });
});
