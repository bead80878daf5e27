/** What a capture tells beside allocations: the process's memory over time, and threads' stacks. */
import { afterAll, describe, expect, test } from 'vitest';
import { captureText } from '../../src/capture/capture.ts';
import { fixture, GroundTruth, heldUnder, leaksOf } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

type Usage = NodeJS.MemoryUsage & { mostUsed: number };
type Row = Record<string, number | null>;

/** The rows of the series that tell what is resident by whom. */
async function looksOf(capture: string): Promise<readonly Row[]> {
  let text = '';
  for await (const piece of captureText(capture)) text += piece;
  return text
    .split('\n')
    .filter((line) => line.startsWith('memory ') && !/mapped_resident_bytes=-/.test(line))
    .map((line) => {
      const fields = line
        .split(' ')
        .slice(2)
        .map((field) => field.split('='));
      return Object.fromEntries(
        fields.map(([name, value]) => [name, value === '-' ? null : Number(value)]),
      );
    });
}

describe('a program that holds memory of every kind', async () => {
  const run = await truth.run(fixture('memory.cjs'));
  const table = await leaksOf(run);
  const usage = JSON.parse(run.stdout) as Usage;
  const looks = await looksOf(run.captures[0] as string);
  const last = looks.at(-1) ?? {};

  test("a thread's stack is under who made the thread, as far as it was touched", () => {
    const { stack = 0 } = heldUnder(table, 'by_thread_stays');
    expect(stack).toBeGreaterThanOrEqual(500_000);
    expect(stack).toBeLessThan(500_000 + 64 * 1024);
  });

  test('and that of a thread that has ended is not there', () => {
    expect(heldUnder(table, 'by_thread_ends').stack).toBeUndefined();
  });

  test('threads that are older than the capture have stacks too', () => {
    const older = table.rows.filter((row) => row.kind === 'stack' && row.stack.length === 0);
    const count = older.reduce((sum, row) => sum + (row.count ?? 0), 0);
    // The four of V8's pool, at least.
    expect(count).toBeGreaterThanOrEqual(4);
  });

  test("the series has V8's own numbers", () => {
    const heap = last.heap_used_bytes ?? 0;
    // A million objects of a header and a number, and their places in the array.
    expect(heap).toBeGreaterThan(32_000_000);
    expect(heap).toBeLessThan(1.1 * usage.mostUsed);
    expect(last.external_bytes).toBeGreaterThanOrEqual(30_000_000);
    expect(last.external_bytes).toBeLessThan(1.2 * usage.external);
    expect(last.heap_total_bytes).toBeGreaterThanOrEqual(heap);
  });

  test('and what is resident, by who holds it', () => {
    const [first = {}] = looks;
    expect(first.mapped_resident_bytes).toBe(0);
    // V8 maps pages for the objects; it had room for some before.
    expect(last.mapped_resident_bytes).toBeGreaterThan(25_000_000);
    const parts = ['mapped', 'malloc', 'stack'].map((who) => last[`${who}_resident_bytes`] ?? NaN);
    const sum = parts.reduce((all, part) => all + part, 0);
    expect(sum).toBeLessThan(last.rss_anon_bytes ?? 0);
    expect(last.stack_resident_bytes).toBeGreaterThanOrEqual(500_000);
    expect(last.store_resident_bytes).toBe(0);
  });
});
