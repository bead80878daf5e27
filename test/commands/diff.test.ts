/** `memdrift diff` as a user calls it. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { DifferenceRow } from '../../src/analysis/difference.ts';
import { Captured, golden } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

/** The rows that `name` is part of the stack of. */
function under(rows: readonly DifferenceRow[], name: string): readonly DifferenceRow[] {
  return rows.filter(({ stack }) => stack.some((frame) => frame.function === name));
}

function bytesOf(rows: readonly DifferenceRow[]): number {
  return rows.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('of two captures of one program', () => {
  const code = `
    function cache(n) { return Buffer.alloc(n, 1); }
    function index(n) { return Buffer.alloc(n, 1); }
    const isLater = process.argv[2] === 'later';
    globalThis.kept = isLater ? [cache(9_000_001)] : [cache(4_000_000), index(3_000_001)];`;
  const first = captured.record('one', code);
  const later = captured.record('one', code, ['later']);

  test('functions are the same, and rows add up to the difference of the totals', () => {
    const { rows, fromBytes, toBytes } = captured.json('diff', first, later, '--leaks');
    const buffers = rows.filter(({ kind }: DifferenceRow) => kind === 'buffer');
    expect(bytesOf(under(buffers, 'cache'))).toBe(5_000_001);
    expect(bytesOf(under(buffers, 'index'))).toBe(-3_000_001);
    expect(bytesOf(rows)).toBe(toBytes - fromBytes);
    const totals = [first, later].map(
      (file) => captured.json('summary', file, '--leaks').totalBytes,
    );
    expect([fromBytes, toBytes]).toEqual(totals);
  });

  test('as text', () => {
    const flags = ['--leaks', '--kind', 'buffer', '--hide-internals'];
    const { stdout, status } = captured.call('diff', first, later, ...flags);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\+2\.00 MB live at the end: 7\.\d\d MB in one\.mdc, 9\.\d\d MB in /);
    expect(stdout).toMatch(/\n\ngrew by 5\.00 MB\n\n\+5\.00 MB {2}buffer, 4\.00 MB to 9\.00 MB\n/);
    expect(stdout).toMatch(/\n\nshrank by 3\.00 MB\n\n-3\.00 MB {2}buffer, 1 fewer of them, /);
    expect(stdout).toMatch(/\n {4}index {2}.*one\.cjs:3\n/);
  });

  test('with itself nothing differs', () => {
    const { stdout } = captured.call('diff', first, first);
    expect(stdout).toMatch(/^\+0\.00 MB live at the peak: .*\n\nno stack holds more or less\n$/);
    expect(captured.json('diff', golden, golden, '--leaks').rows).toEqual([]);
  });
});

describe('of two moments of one capture', () => {
  const capture = join(captured.folder, 'marks.mdc');
  const index = new URL('../../dist/index.js', import.meta.url);
  const script = join(captured.folder, 'marks.mjs');
  writeFileSync(
    script,
    `import { Tracker } from '${index}';
     function cache(n) { return Buffer.alloc(n, 1); }
     const tracker = new Tracker('${capture}');
     tracker.start();
     const begin = performance.now();
     const kept = [cache(4_000_000)];
     tracker.mark('full');
     kept.push(cache(5_000_001));
     const times = [performance.now() - begin];
     await new Promise((resolve) => setTimeout(resolve, 2000));
     times.push(performance.now() - begin);
     tracker.mark('turn');
     kept.push(cache(6_000_001));
     tracker.mark('turn');
     kept.push(cache(1_000_000));
     await tracker.stop();
     console.log(JSON.stringify(times));`,
  );
  // Between these times nothing was allocated.
  const times = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' }));
  const [beforeMs, afterMs] = times as [number, number];
  const cache = (...flags: readonly string[]): number =>
    bytesOf(under(captured.json('diff', capture, '--kind', 'buffer', ...flags).rows, 'cache'));

  test('marks are exact: the first of a name to begin with, the last to end with', () => {
    expect(cache('--from', 'full', '--to', 'turn')).toBe(11_000_002);
    expect(cache('--to', 'full')).toBe(4_000_000);
    expect(cache('--from', 'turn')).toBe(7_000_001);
    expect(cache('--from', 'end', '--to', 'full')).toBe(-12_000_002);
    expect(cache('--from', 'full', '--to', 'full')).toBe(0);
  });

  test('times are those of the nearest moment', () => {
    const middleMs = Math.round((beforeMs + afterMs) / 2);
    expect(cache('--from', `${middleMs}ms`, '--to', 'turn')).toBe(6_000_001);
    const { stdout } = captured.call('diff', capture, '--from', `${middleMs / 1000}s`);
    const shown = /^\+\d+\.\d\d MB live: \d+\.\d\d MB at (\d+\.\d\d) s, /.exec(stdout);
    const momentMs = 1000 * Number(shown?.[1]);
    expect(momentMs).toBeGreaterThan(beforeMs);
    expect(momentMs).toBeLessThan(afterMs);
  });

  test.each([
    [['--from', 'ful'], 'ful is no moment of the capture: its marks are full, turn; times are'],
    [['--from', 'full', '--leaks'], '--from and --to name the moments'],
    [['--from', 'full', '--kind', 'file'], 'what was of kind file at a moment is not known'],
    [[], 'diff compares two captures, or with --from or --to two moments of one'],
    [[golden, '--to', 'full'], 'diff compares two captures, or with'],
  ])('%j is refused', (flags, message) => {
    const { status, stderr } = captured.call('diff', capture, ...flags);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

test('however many marks there are, the peak and the end are moments', () => {
  const capture = join(captured.folder, 'thousand.mdc');
  const script = join(captured.folder, 'thousand.mjs');
  writeFileSync(
    script,
    `import { Tracker } from '${new URL('../../dist/index.js', import.meta.url)}';
     function cache(n) { return Buffer.alloc(n, 1); }
     const tracker = new Tracker('${capture}');
     tracker.start();
     for (let i = 0; i < 1200; i++) tracker.mark('mark\\n' + i);
     const kept = [cache(7_000_001)];
     await tracker.stop();`,
  );
  execFileSync(process.execPath, [script]);
  const { rows } = captured.json('diff', capture, '--kind', 'buffer', '--to', 'end');
  expect(bytesOf(under(rows, 'cache'))).toBe(7_000_001);
  expect(captured.call('diff', capture, '--to', 'peak').status).toBe(0);
  const { stderr } = captured.call('diff', capture, '--to', 'none');
  expect(stderr).toMatch(/: its marks are mark\?0, (mark\?\d, ){9}and \d+ more; times are .*\n$/);
});
