import { afterEach, describe, expect, it } from 'vitest';
import { readHeapLimit } from '../../src/proc/heap_limit.ts';
import { heapLimitOf, heapOptions } from '../../src/proc/heap_limit_rules.ts';
import { Children } from '../children.ts';

const MiB = 1 << 20;
const none = heapOptions(['node'], '');
const children = new Children();

afterEach(() => children.endAll());

describe('heapOptions', () => {
  it('has the last of several, NODE_OPTIONS first, with dashes or underscores', () => {
    const words = ['node', '--max_old_space_size=200', '-r', './x', '--max-semi-space-size=5', 'a'];
    expect(heapOptions(words, '--max-old-space-size=300 "--max-heap-size=900"')).toEqual({
      maxHeapMib: 900,
      maxOldSpaceMib: 200,
      maxOldSpacePercent: null,
      maxSemiSpaceMib: 5,
    });
  });

  it("leaves the program's own alone, and 0 is the default", () => {
    expect(heapOptions(['node', 'app.js', '--max-old-space-size=200'], '')).toEqual(none);
    expect(heapOptions(['node', '--max-old-space-size=0', 'app.js'], '')).toEqual(none);
  });
});

describe('heapLimitOf', () => {
  // What heap_size_limit was, in MiB, in a cgroup with that limit.
  it.each([
    [20, [256, 259], [700, 362], [1024, 524], [1100, 574], [3000, 1548], [15000, 2096]],
    [22, [256, 259], [700, 362], [1024, 524], [1100, 574], [3000, 1548], [15360, 4144]],
    [24, [256, 259], [700, 398], [1024, 560], [1100, 646], [3000, 1692], [15360, 4288]],
    [26, [128, 262], [700, 374], [1024, 536], [1100, 598], [3000, 1596], [15360, 4192]],
  ] as [number, ...[number, number][]][])("is Node %i's default", (major, ...known) => {
    for (const [memoryMib, limitMib] of known) {
      const { limitBytes, source } = heapLimitOf(major, none, memoryMib * MiB);
      expect([memoryMib, limitBytes / MiB]).toEqual([memoryMib, limitMib]);
      expect(source).toBe('default');
    }
  });
});

describe('readHeapLimit', () => {
  const script =
    "console.log(require('v8').getHeapStatistics().heap_size_limit); setInterval(() => {}, 1e3)";

  it.each([
    '',
    '--max-old-space-size=1000',
    '--max_old_space_size=300 --max-semi-space-size=5',
    '--max-heap-size=500',
    '--max-heap-size=1000 --max-old-space-size=400',
  ])("is what V8 itself says, with '%s'", async (options) => {
    const given = options.split(' ').filter((one) => one !== '');
    const child = await children.run(process.execPath, [
      '-e',
      `console.log(1);${script}`,
      ...given,
    ]);
    const stated = Number(await child.line());
    const limit = readHeapLimit(child.pid);
    expect(limit?.limitBytes).toBe(stated);
    expect(limit?.nodeVersion).toBe(process.versions.node);
    expect(limit?.isAboveCgroup === null).toBe(limit?.cgroupLimitBytes === null);
  });

  it('is null for what is no Node, and ERR_GONE for what is gone', async () => {
    const child = await children.run('sh', ['-c', 'echo; read x']);
    expect(readHeapLimit(child.pid)).toBeNull();
    await child.end();
    expect(() => readHeapLimit(child.pid)).toThrow(expect.objectContaining({ code: 'ERR_GONE' }));
  });
});
