/** Every byte under the function that allocated it, where both are known. */
import { afterAll, describe, expect, test } from 'vitest';
import { fixture, GroundTruth, heldUnder, leaksOf, rowsOf } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

const page = 4096;

describe('a program that allocates in every way', async () => {
  // The program does not touch the pages that it maps.
  const run = await truth.run(fixture('functions.cjs'));
  const table = await leaksOf(run, { committed: true });

  const expected: Record<string, Record<string, number>> = {
    by_malloc: { malloc: 1_000_001 },
    by_calloc: { malloc: 1_000_002 },
    by_realloc: { malloc: 1_000_003 },
    by_realloc_of_nothing: { malloc: 1_000_004 },
    by_reallocarray: { malloc: 1_000_005 },
    by_posix_memalign: { malloc: 1_000_006 },
    by_aligned_alloc: { malloc: 1_000_000 },
    by_memalign: { malloc: 1_000_007 },
    by_valloc: { malloc: 1_000_008 },
    by_pvalloc: { malloc: 1_000_009 },
    by_strdup: { malloc: 1_000_010 },
    by_mmap: { mmap: 1_048_576 },
    by_mprotect: { mmap: 2 << 20 },
    by_mremap: { mmap: 3 << 20 },
    by_arrow: { malloc: 1_000_016 },
    inner_eval: { malloc: 1_000_017 },
    inner_new: { malloc: 1_000_018 },
    called_back: { malloc: 1_000_019 },
    by_method: { malloc: 1_000_012 },
    by_static_method: { malloc: 1_000_013 },
    by_async: { malloc: 1_000_014 },
    by_generator: { malloc: 1_000_015 },
  };
  test.each(Object.entries(expected))('%s', (name, held) => {
    const under = heldUnder(table, name);
    // What V8 and Node allocate in the function's name is small, and is theirs.
    for (const [kind, bytes] of Object.entries(held)) {
      expect(under[kind]).toBeGreaterThanOrEqual(bytes);
      const own = rowsOf(table, name).filter((row) => row.kind === kind && row.bytes === bytes);
      expect(own).toHaveLength(1);
    }
  });

  test.each(['by_buffer', 'by_array_buffer'])('64 MiB %s', (name) => {
    expect(heldUnder(table, name).buffer).toBe(64 << 20);
  });

  test('what was given back is not there', () => {
    const { malloc = 0, mmap = 0 } = heldUnder(table, 'given_back');
    expect(malloc).toBeLessThan(page);
    expect(mmap).toBe(0);
  });

  test('a block of a thread that has ended', () => {
    const rows = table.rows.filter((row) => row.bytes === 1_000_011);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.stack.every((frame) => frame.native)).toBe(true);
    expect(rows[0]?.stack[0]?.file).toBe(truth.addon);
  });

  test('names functions and files as their source does', () => {
    const [row] = rowsOf(table, 'by_malloc');
    const frame = row?.stack.find((one) => one.function === 'by_malloc');
    expect(frame).toMatchObject({
      file: fixture('functions.cjs'),
      functionLine: 6,
      native: false,
    });
    expect(row?.stack[0]).toMatchObject({ native: true, file: truth.addon });
  });

  test('rows of the heap add up to the total', () => {
    const heap = table.rows.filter((row) => ['malloc', 'buffer', 'mmap'].includes(row.kind));
    expect(heap.reduce((sum, row) => sum + row.bytes, 0)).toBe(table.totalBytes);
    expect(table.totalBytes).toBe(table.stats.leakedBytes);
  });

  test('loses nothing', () => {
    expect(table.stats).toMatchObject({ droppedRecords: 0, damage: null, role: 'main' });
  });
});

describe('V8 in each of its tiers', () => {
  const tiers: Record<string, readonly string[]> = {
    interpreted: ['--no-sparkplug', '--no-opt', '--no-maglev'],
    baseline: ['--always-sparkplug', '--no-opt', '--no-maglev'],
    optimised: ['--always-sparkplug'],
    'optimised, nothing inlined': ['--max-inlined-bytecode-size=0'],
  };
  test.each(Object.entries(tiers))('%s', async (name, node) => {
    const table = await leaksOf(await truth.run(fixture('tiers.cjs'), { node }));
    const rows = table.rows.filter((row) => row.bytes === 2_000_001);
    expect(rows).toHaveLength(1);
    const functions = rows[0]?.stack.filter((frame) => !frame.native).map((f) => f.function) ?? [];
    if (name === 'optimised') {
      // Inlined functions are under the one that they were compiled into.
      expect(['leaf', 'middle', 'outer', '']).toContain(functions[0]);
    } else {
      expect(functions.slice(0, 3)).toEqual(['leaf', 'middle', 'outer']);
    }
  });
});

test('a worker has its own functions, and its own thread', async () => {
  const table = await leaksOf(await truth.run(fixture('worker.cjs')));
  const [mine] = rowsOf(table, 'on_message').filter((row) => row.bytes === 3_000_001);
  const [its] = rowsOf(table, 'in_worker').filter((row) => row.bytes === 3_000_002);
  expect(mine).toBeDefined();
  expect(its).toBeDefined();
  expect(its?.thread).not.toBe(mine?.thread);
});

test('an object that is loaded later is seen from its first call, however often', async () => {
  const table = await leaksOf(await truth.run(fixture('objects.cjs')));
  const rows = rowsOf(table, 'by_object').filter((row) => row.bytes >= 4_000_001);
  expect(rows.reduce((sum, row) => sum + (row.count ?? 0), 0)).toBe(2);
  expect(rows.reduce((sum, row) => sum + row.bytes, 0)).toBe(2 * 4_000_001);
});
