/** Each sentence of advice: an explanation that supports it, and one that must not have it. */
import { describe, expect, test } from 'vitest';
import type { Explanation, ThreadBytes } from '../../src/drift/explain_model.ts';
import type { DeepFacts } from '../../src/drift/retention_model.ts';
import { adviceOf, advices } from '../../src/report/explain_advice.ts';
import {
  arenaOf,
  deepOf,
  explanationOf,
  mallocOf,
  noBytes,
  threadOf,
} from '../drift/made_explanation.ts';

const noTracking = { attach: false, run: false };
const v8Of = (more: object) => ({ v8: { isolates: 1, youngFreeBytes: 0, ...more } as never });
const besideOf = (more: object) => ({ beside: { ...explanationOf({}).beside, ...more } });
/** Two Workers, of which the other one has 100 MB of each. */
const workers = (more: Partial<ThreadBytes>): Partial<Explanation> => {
  const other = { heapBytes: 1e8, freeBytes: 0, externalBytes: 1e8 };
  const threads = [threadOf(0, {}), threadOf(3, other), { ...threadOf(7, more), ...named7 }];
  return { byThread: { threads, rest: noBytes, surplus: noBytes } };
};
const named7 = { name: 'job' };
const outside = { source: 'outside', sourceReason: 'why', v8: null } as const;
const deep = (more: Parameters<typeof deepOf>[0]): { deep: DeepFacts } => ({ deep: deepOf(more) });
const main = (more: object) => ({ malloc: mallocOf([arenaOf({ isMain: true, ...more })]) });
const own = { allocatedBytes: 1e6, activeBytes: 9e6, residentBytes: 9e8, retainedBytes: 0 };
const jemalloc = { malloc: { ...mallocOf([]), arenas: null, allocator: 'jemalloc', own } as never };

type Made = ReturnType<typeof explanationOf>;

/** By the name of the sentence: given, what it says, and not given. */
const cases: readonly (readonly [
  name: string,
  given: Made,
  words: readonly string[],
  not: Made,
])[] = [
  [
    'freed by the program, kept by malloc',
    explanationOf({ 'malloc-freed': 9e8 }, main({ freedBytes: 9e8, trimBytes: 8.8e8 })),
    ['malloc_trim(0) would give back 880.00 MB', 'MALLOC_ARENA_MAX does not change'],
    explanationOf({ 'malloc-freed': 9e8 }),
  ],
  [
    'freed, by the allocator’s own statistics',
    explanationOf({ 'malloc-freed': 9e8 }, jemalloc),
    ['900.00 MB', 'jemalloc'],
    explanationOf({ 'malloc-freed': 9e8 }, main({ freedBytes: 9e8 })),
  ],
  [
    'objects with native memory of which V8 was told little',
    explanationOf(
      { 'malloc-in-use': 5e8 },
      { ...v8Of({ externalBytes: 3e6 }), ...deep({ mallocBytes: 4e8 }) },
    ),
    ['400.00 MB', 'external is 3.00 MB'],
    // Held, as far as is known: what holds it may not be an object.
    explanationOf({ 'malloc-in-use': 5e8 }, { ...v8Of({ externalBytes: 3e6 }), ...deep({}) }),
  ],
  [
    'held by native code',
    explanationOf({ 'malloc-in-use': 5e8 }, main({})),
    ['500.00 MB', 'memdrift attach 4711'],
    explanationOf({ 'malloc-in-use': 5e8 }, outside),
  ],
  [
    'malloc, from outside',
    explanationOf({ 'malloc-in-use': 5e8 }, outside),
    ['500.00 MB'],
    explanationOf({ 'malloc-in-use': 5e8 }),
  ],
  [
    'objects that were garbage',
    explanationOf({ 'v8-heap': 5e8 }, deep({ heapBytes: 4e8 })),
    ['500.00 MB', '400.00 MB'],
    explanationOf({ 'v8-heap': 5e8 }, deep({ heapBytes: 1e8 })),
  ],
  [
    'objects',
    explanationOf({ 'v8-heap': 5e8 }),
    ['memdrift attach 4711 --js-heap', 'heap snapshot'],
    explanationOf({ 'v8-heap': 5e8 }, { ...outside, isNode: false }),
  ],
  [
    'objects of Workers',
    explanationOf(
      { 'v8-heap': 5e8 },
      { ...v8Of({ isolates: 3, heapUsedBytes: 4e6 }), ...workers({ heapBytes: 3e8 }) },
    ),
    ['400.00 MB of 500.00 MB', '300.00 MB of these of thread 7 (job)'],
    explanationOf(
      { 'v8-heap': 5e8 },
      { ...v8Of({ isolates: 3, heapUsedBytes: 4e8 }), ...workers({ heapBytes: 1e8 }) },
    ),
  ],
  [
    'objects of other isolates',
    explanationOf({ 'v8-heap': 5e8 }, v8Of({ isolates: 5, heapUsedBytes: 4e6 })),
    ['4.00 MB of 500.00 MB', '4 other isolates', 'explain --deep'],
    explanationOf(
      { 'v8-heap': 5e8 },
      { ...v8Of({ isolates: 3, heapUsedBytes: 4e6 }), ...workers({ heapBytes: 3e8 }) },
    ),
  ],
  [
    'Buffers of Workers',
    explanationOf(
      { 'array-buffers': 5e8 },
      {
        ...v8Of({ arrayBuffersBytes: 1e6 }),
        ...deep({ unreferencedBytes: 5e8 }),
        ...workers({ externalBytes: 4e8 }),
      },
    ),
    ['500.00 MB are contents of Buffers', '400.00 MB of these of thread 7 (job)'],
    explanationOf(
      { 'array-buffers': 5e8 },
      {
        ...v8Of({ arrayBuffersBytes: 1e6 }),
        ...deep({ unreferencedBytes: 5e8 }),
        ...workers({ externalBytes: 1e8 }),
      },
    ),
  ],
  [
    'free room in V8’s heap',
    explanationOf({ 'v8-free': 5e8 }, v8Of({ youngFreeBytes: 4e8 })),
    ['500.00 MB', 'most of it in the young generation', '--max-semi-space-size'],
    explanationOf({ 'v8-heap': 5e8 }),
  ],
  [
    'pages that V8 keeps',
    explanationOf({ 'v8-pooled': 5e8 }),
    ['500.00 MB', 'no object'],
    explanationOf({ 'v8-pooled': null, 'v8-heap': 5e8 }),
  ],
  [
    'WebAssembly memories',
    explanationOf({ 'wasm-memory': 5e8 }),
    ['500.00 MB', 'never shrink'],
    explanationOf({ 'array-buffers': 5e8 }),
  ],
  [
    'strings outside V8’s heap',
    explanationOf({ 'external-strings': 5e8 }),
    ['500.00 MB', 'slice'],
    explanationOf({ 'malloc-in-use': 5e8 }, v8Of({ externalBytes: 5e8 })),
  ],
  [
    'Buffers that JavaScript does not reference',
    explanationOf({ 'array-buffers': 5e8 }, deep({ unreferencedBytes: 4e8 })),
    ['400.00 MB of 500.00 MB', 'Blobs'],
    explanationOf({ 'array-buffers': 5e8 }, deep({ unreferencedBytes: 1e8 })),
  ],
  [
    'Buffers that were garbage',
    explanationOf({ 'array-buffers': 5e8 }, deep({ arrayBufferBytes: 4e8 })),
    ['400.00 MB of 500.00 MB'],
    explanationOf({ 'array-buffers': 5e8 }, deep({})),
  ],
  [
    'Buffers that slices keep',
    explanationOf({ 'array-buffers': 5e8 }, deep({ heldBytes: 5e8, referencedBytes: 1e6 })),
    ['500.00 MB', '1.00 MB', 'new Uint8Array(slice)'],
    // Most of the Buffers were not looked at.
    explanationOf({ 'array-buffers': 5e8 }, deep({ heldBytes: 2e5, referencedBytes: 5e4 })),
  ],
  [
    'Buffers',
    explanationOf({ 'array-buffers': 5e8 }),
    ['memdrift attach 4711', 'explain --deep'],
    explanationOf({ 'array-buffers': 5e8 }, deep({ unreferencedBytes: 4e8 })),
  ],
  [
    'stacks',
    explanationOf({ 'thread-stacks': 5e8 }, v8Of({ isolates: 3 })),
    ['500.00 MB', 'stackSizeMb'],
    explanationOf({ 'v8-heap': 5e8 }),
  ],
  [
    'shared memory',
    explanationOf({ 'shared-segment': 5e8 }),
    ['500.00 MB', 'memdrift ps'],
    explanationOf({ 'file-data': 5e8 }),
  ],
  [
    'mapped files',
    explanationOf({ 'file-data': 5e8 }),
    ['500.00 MB', 'page cache'],
    explanationOf({ 'file-private': 5e8 }),
  ],
  [
    'copies of file pages',
    explanationOf({ 'file-private': 5e8 }),
    ['500.00 MB', 'cannot drop'],
    explanationOf({ 'file-data': 5e8 }),
  ],
  [
    'native mappings',
    explanationOf({}, { unexplainedBytes: 5e8 }),
    ['500.00 MB', 'memdrift attach 4711'],
    explanationOf({}, { unexplainedBytes: 5e8, ...outside, isNode: false }),
  ],
  [
    'huge pages',
    explanationOf({ 'v8-heap': 5e8 }, besideOf({ anonHugePagesBytes: 4e8 })),
    ['400.00 MB', 'transparent_hugepage'],
    explanationOf({ 'v8-heap': 5e8 }, besideOf({ anonHugePagesBytes: 2e8 })),
  ],
  [
    'swapped out',
    explanationOf({ 'v8-heap': 5e8 }, besideOf({ swapBytes: 4e8 })),
    ['400.00 MB'],
    explanationOf({ 'v8-heap': 5e8 }),
  ],
];

const named = (name: string) => advices.find((advice) => advice.name === name);

describe('each sentence', () => {
  test('is in the list of cases', () => {
    expect(cases.map(([name]) => name)).toEqual(advices.map(({ name }) => name));
  });

  test.each(cases)('%s: is given with its figures, and not without its facts', (...one) => {
    const [name, given, words, not] = one;
    expect(named(name)?.bytes(given)).toBeGreaterThan(16e6);
    const text = adviceOf(given).join('\n');
    expect(text).toContain(named(name)?.text(given));
    for (const word of words) expect(text).toContain(word);
    expect(named(name)?.bytes(not)).toBe(0);
  });

  test.each(cases)('%s: names a command only where it would work', (...one) => {
    const [, given] = one;
    expect(adviceOf({ ...given, tracking: noTracking }).join()).not.toMatch(
      /memdrift (attach|run)/,
    );
    const runOnly = adviceOf({ ...given, tracking: { attach: false, run: true } }).join();
    expect(runOnly).not.toContain('memdrift attach');
  });
});

describe('Buffers of which only the length is known', () => {
  const resident = { 'array-buffers': 5e8 };

  test('are limited to the resident bytes of all Buffers', () => {
    const [text] = adviceOf(explanationOf(resident, deep({ unreferencedBytes: 12e8 })));
    expect(text).toContain('500.00 MB of 500.00 MB in Buffers are referenced by no JavaScript');
  });

  test('are shown with bounds when other Buffers may be resident too', () => {
    const facts = deep({ unreferencedBytes: 12e8, heldBytes: 2e8 });
    const [text] = adviceOf(explanationOf(resident, facts));
    expect(text).toContain('300.00 MB to 500.00 MB of 500.00 MB in Buffers');
  });

  test('are not named when most resident bytes may belong to other Buffers', () => {
    for (const more of [{ unreferencedBytes: 12e8 }, { arrayBufferBytes: 12e8 }]) {
      const [text] = adviceOf(explanationOf(resident, deep({ ...more, heldBytes: 4e8 })));
      expect(text).toMatch(/^500\.00 MB are contents of Buffers: memdrift attach/);
    }
  });
});

describe('large objects', () => {
  const large = (usedBytes: number) =>
    v8Of({ heapUsedBytes: 5e8, spaces: [{ name: 'large_object_space', usedBytes }] });

  test('are named when they are a quarter of the heap', () => {
    const [text] = adviceOf(explanationOf({ 'v8-heap': 5e8 }, large(3e8)));
    expect(text).toContain('300.00 MB of these in single strings, arrays or tables');
  });

  test('are not named when they are less than a quarter', () => {
    const [text] = adviceOf(explanationOf({ 'v8-heap': 5e8 }, large(1e8)));
    expect(text).not.toContain('single strings');
  });
});

describe('what malloc gives back', () => {
  const freed = { 'malloc-freed': 9e8 };

  const fixed = (leastBytes: number, mostBytes: number) => ({
    fixedThresholds: { leastBytes, mostBytes },
  });

  test('names the threshold and its effect when most would be given back', () => {
    const made = main({ topBytes: 9e8, trimBytes: 8.9e8, ...fixed(8.9e8, 8.91e8) });
    const [text] = adviceOf(explanationOf({ 'malloc-top': 9e8 }, made));
    expect(text).toContain('With MALLOC_TRIM_THRESHOLD_=131072');
    expect(text).toContain('would have given back 890.00 MB of these');
  });

  test('returns bounds when large holes may have been large blocks', () => {
    const arenas = [arenaOf({ isMain: true, ...fixed(2e8, 2e8) }), arenaOf(fixed(3e8, 6e8))];
    const [text] = adviceOf(explanationOf(freed, { malloc: mallocOf(arenas) }));
    expect(text).toContain('given back 500.00 MB to 800.00 MB of these');
  });

  test.each([
    ['little', fixed(1e8, 9e8)],
    ['an unknown amount', { fixedThresholds: null }],
  ])('does not name the threshold when %s is known to be given back', (_, more) => {
    const [text] = adviceOf(explanationOf(freed, main({ trimBytes: 8.8e8, ...more })));
    expect(text).not.toContain('TRIM_THRESHOLD');
  });

  test('names pages that are shared with blocks in use where a trim returns little', () => {
    const [text] = adviceOf(explanationOf(freed, main({ freedBytes: 9e8, trimBytes: 1e6 })));
    expect(text).toContain('899.00 MB share pages with blocks in use');
  });

  test('advises neither fewer arenas nor another allocator: that cannot be computed', () => {
    const arenas = Array.from({ length: 9 }, () => arenaOf({ freedBytes: 1e8, trimBytes: 1e5 }));
    const [text] = adviceOf(explanationOf(freed, { malloc: mallocOf(arenas) }));
    expect(text).not.toMatch(/MALLOC_ARENA_MAX|jemalloc/);
  });
});

test('a program that is not Node has no advice about Node', () => {
  const made = explanationOf(
    { 'malloc-in-use': 5e8, 'thread-stacks': 1e8 },
    { ...outside, isNode: false, tracking: noTracking, unexplainedBytes: 4e8 },
  );
  expect(adviceOf(made).join()).not.toMatch(/V8|Buffer|memdrift|Node|Worker/);
});

describe('a process in which no cause stands out', () => {
  test('is its program and libraries, where these are most', () => {
    const made = explanationOf({ 'file-code': 40e6, 'v8-heap': 5e6 });
    expect(adviceOf(made)).toEqual([expect.stringContaining('40.00 MB are the program')]);
  });

  test('is not, where these are not', () => {
    expect(adviceOf(explanationOf({ 'v8-heap': 5e6 }))).toEqual([
      'No cause stands out at this moment; explain --since shows growth.',
    ]);
  });
});
