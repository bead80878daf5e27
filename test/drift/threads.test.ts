/**
 * What users have asked of RSS that is not the heap, as programs: the row of explain() that answers
 * is there, and right. docs/rss-is-not-heap.md has the threads; this is its column "test".
 */
import { afterAll, describe, test } from 'vitest';
import { growthBetween } from '../../src/drift/growth.ts';
import { explainText } from '../../src/report/explain_text.ts';
import { growthText } from '../../src/report/growth_text.ts';
import { growth, KnownPrograms } from './known_programs.ts';

const programs = new KnownPrograms();
afterAll(() => programs.remove());

/** The cells of the first line that begins with `name`. */
function rowOf(text: string, name: string): readonly string[] {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line?.split(/ {2,}/) ?? [];
}

const mb = (bytes: number): number => bytes / 1e6;

describe.concurrent('the answer is in the row', () => {
  test('growi#11411, node#56641: freed, in the main arena, and a trim returns it', async (t) => {
    const { after, returnedBytes = NaN, truth } = await programs.run('mallocFreed');
    const text = explainText(after);
    const freed = mb(truth[0]?.[1] ?? NaN);
    t.expect(Number(rowOf(text, 'malloc-freed')[1])).toBeGreaterThan(0.97 * freed);
    const main = rowOf(text, 'main');
    t.expect(Number(main[4])).toBeGreaterThan(0.97 * freed);
    t.expect(Math.abs(Number(main[6]) - mb(returnedBytes))).toBeLessThan(0.05 * freed);
    t.expect(text).toContain('MALLOC_ARENA_MAX does not change');
  });

  test('sharp#955: freed, in the arenas of many threads', async (t) => {
    const text = explainText((await programs.run('arenas')).after);
    t.expect(text).toMatch(/MB are freed, and kept by malloc: malloc_trim\(0\) would give back/);
    t.expect(text).not.toContain('MALLOC_ARENA_MAX=2');
  });

  test('node#11077: huge pages', async (t) => {
    const env = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
    const text = explainText((await programs.run('mallocHeld', { env })).after);
    const [, size] = /([\d.]+) MB of it in transparent huge pages/.exec(text) ?? [];
    t.expect(Number(size)).toBeGreaterThan(40);
  });

  test('s2#86: native memory under small objects, of which V8 is not told', async (t) => {
    const { after, truth } = await programs.run('wrappers');
    const text = explainText(after);
    const held = mb(truth[0]?.[1] ?? NaN);
    t.expect(Number(rowOf(text, 'malloc-in-use')[1])).toBeGreaterThan(held);
    // These are held: whether by objects is not known.
    t.expect(text).not.toContain('of which V8 is told little');
    t.expect(text).toContain('held by native code');
  });

  test('orm#30143: what grew between two looks', async (t) => {
    const { after, before, truth } = await programs.run('mallocHeld');
    const text = growthText(growthBetween(before, after), after);
    const grown = rowOf(text, 'malloc-in-use').join(' ');
    const held = mb(truth[0]?.[1] ?? NaN);
    t.expect(grown).toMatch(/\+6[0-2]\.\d\d/);
    t.expect(held).toBeCloseTo(60.5, 0);
  });

  test('lmdb-js#75: Buffers are gone, their memory is not', async (t) => {
    const answer = await programs.run('buffersReleased');
    const [first] = growth(answer);
    t.expect(first?.[0]).toBe('malloc-freed');
    const truth = answer.truth[0]?.[1] ?? NaN;
    t.expect(Math.abs((first?.[1] ?? NaN) - truth)).toBeLessThan(0.03 * truth);
  });

  test('node-lmdb#165: pages of a mapped file', async (t) => {
    const text = explainText((await programs.run('mappedFile')).after);
    t.expect(rowOf(text, 'file-data')[1]).toBe('33.55');
    t.expect(text).toContain('page cache');
  });

  test('node#51868: what workers that have ended leave is freed, in their arenas', async (t) => {
    const answer = await programs.run('workersEnded');
    const [first] = growth(answer);
    t.expect(first?.[0]).toBe('malloc-freed');
    const truth = answer.truth[0]?.[1] ?? NaN;
    t.expect(Math.abs((first?.[1] ?? NaN) - truth)).toBeLessThan(Math.max(2e6, 0.03 * truth));
    t.expect(answer.after.v8?.isolates).toBe(1);
  });

  test('node#33790: a heap snapshot leaves freed memory, which a trim returns', async (t) => {
    const answer = await programs.run('snapshot');
    const [first] = growth(answer);
    t.expect(first?.[0]).toBe('malloc-freed');
    t.expect(answer.returnedBytes).toBeGreaterThan(0.9 * (first?.[1] ?? NaN));
  });

  test('pyroscope-nodejs#28: the profiler has a row of its own', async (t) => {
    const { after, before } = await programs.run('tracked');
    const own = growth({ after, before }).find(([cause]) => cause === 'memdrift');
    t.expect(own?.[1]).toBeGreaterThan(1e6);
    t.expect(own?.[1]).toBeLessThan(50e6);
  });

  test('node#62723: the limit that V8 has, against the cgroup’s', async (t) => {
    const nodeFlags = ['--max-old-space-size=300'];
    const text = explainText((await programs.run('buffersUntouched', { nodeFlags })).after);
    const [, limit] = /heap_size_limit ([\d.]+) MB; cgroup: /.exec(text) ?? [];
    t.expect(Number(limit)).toBeGreaterThan(300);
    t.expect(Number(limit)).toBeLessThan(600);
  });
});
