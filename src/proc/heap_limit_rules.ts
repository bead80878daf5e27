/** How V8 limits its heap, as Node asks it to: options in, bytes out. */

const MiB = 1 << 20;

/** What a command line and NODE_OPTIONS say of the heap; MiB as they are given, null: nothing. */
export interface HeapOptions {
  readonly maxHeapMib: number | null;
  readonly maxOldSpaceMib: number | null;
  readonly maxOldSpacePercent: number | null;
  readonly maxSemiSpaceMib: number | null;
}

export type HeapLimitSource =
  | '--max-heap-size'
  | '--max-old-space-size'
  | '--max-old-space-size-percentage'
  | 'default';

/** Where the heap ends, and of what that is made. */
export interface HeapLimitParts {
  readonly limitBytes: number;
  readonly source: HeapLimitSource;
}

/** What differs between versions of V8: measured on each, see the test. */
interface YoungRules {
  /** Old space is so many times a semi-space, which has an upper and a lower bound. */
  readonly ratio: number;
  readonly mostMib: number;
  readonly leastMib: number;
  /** The same for an old space of at most 256 MiB. */
  readonly smallRatio: number;
  /** From so much memory on, old space is 4 GiB; below, 2 GiB at most. */
  readonly largeFromMib: number;
}

const rulesByMajor: readonly (readonly [major: number, rules: YoungRules])[] = [
  [20, { ratio: 128, mostMib: 16, leastMib: 1, smallRatio: 256, largeFromMib: 16 * 1024 }],
  [22, { ratio: 128, mostMib: 16, leastMib: 1, smallRatio: 256, largeFromMib: 15 * 1024 }],
  [24, { ratio: 32, mostMib: 64, leastMib: 1, smallRatio: 256, largeFromMib: 15 * 1024 }],
  [26, { ratio: 64, mostMib: 32, leastMib: 2, smallRatio: 64, largeFromMib: 15 * 1024 }],
];

/** Options that have their value in the next word, so that it is not the program. */
const takesWord = new Set([
  ...['-r', '--require', '--import', '--loader', '--experimental-loader', '-C', '--conditions'],
  ...['-e', '--eval', '-p', '--print', '-pe', '--title', '--env-file'],
]);

const names: Readonly<Record<string, keyof HeapOptions>> = {
  'max-heap-size': 'maxHeapMib',
  'max-old-space-size': 'maxOldSpaceMib',
  'max-old-space-size-percentage': 'maxOldSpacePercent',
  'max-semi-space-size': 'maxSemiSpaceMib',
};

/** `words`: a command line with its program's path; NODE_OPTIONS comes first, the last one wins. */
export function heapOptions(words: readonly string[], nodeOptions: string): HeapOptions {
  const found: Record<keyof HeapOptions, number | null> = {
    maxHeapMib: null,
    maxOldSpaceMib: null,
    maxOldSpacePercent: null,
    maxSemiSpaceMib: null,
  };
  for (const word of [...nodeOptions.replaceAll('"', '').split(/\s+/), ...ownOptions(words)]) {
    const [, name = '', value] = /^--([a-z_-]+)=(\d+(?:\.\d+)?)$/.exec(word) ?? [];
    const option = names[name.replaceAll('_', '-')];
    // 0 is V8's word for the default.
    if (option !== undefined) found[option] = Number(value) || null;
  }
  return found;
}

/** What is before the program: what is after it is the program's. */
function ownOptions(words: readonly string[]): string[] {
  const own: string[] = [];
  for (let i = 1; i < words.length; i++) {
    const word = words[i] as string;
    if (!word.startsWith('-') || word === '--') break;
    own.push(word);
    if (takesWord.has(word)) i++;
  }
  return own;
}

/**
 * Where the heap of a Node of version `major` ends that has `memoryBytes`, its own cgroup's limit
 * or the machine's memory. Between two known versions the older one's rules hold.
 */
export function heapLimitOf(
  major: number,
  options: HeapOptions,
  memoryBytes: number,
): HeapLimitParts {
  const known = rulesByMajor.filter(([from]) => from <= major).at(-1) ?? rulesByMajor[0];
  const rules = (known as (typeof rulesByMajor)[number])[1];
  const { maxHeapMib, maxOldSpaceMib, maxOldSpacePercent, maxSemiSpaceMib } = options;
  const memoryMib = memoryBytes / MiB;
  const percentMib = maxOldSpacePercent === null ? null : (memoryMib * maxOldSpacePercent) / 100;
  const oldMib = percentMib ?? maxOldSpaceMib;
  const source: HeapLimitSource =
    percentMib !== null
      ? '--max-old-space-size-percentage'
      : maxOldSpaceMib !== null
        ? '--max-old-space-size'
        : maxHeapMib !== null
          ? '--max-heap-size'
          : 'default';
  if (maxHeapMib !== null && oldMib === null) return { limitBytes: maxHeapMib * MiB, source };
  const defaults = defaultSizes(rules, memoryMib);
  const semiMib =
    maxHeapMib !== null && oldMib !== null
      ? powerOfTwo(Math.max(1, (maxHeapMib - oldMib) / 3))
      : maxSemiSpaceMib !== null
        ? powerOfTwo(maxSemiSpaceMib)
        : defaults.semiMib;
  const limitMib = Math.floor(oldMib ?? defaults.oldMib) + 3 * semiMib;
  return { limitBytes: limitMib * MiB, source };
}

/** Half of the memory is old space, within bounds; a young generation is three semi-spaces. */
function defaultSizes(rules: YoungRules, memoryMib: number): { oldMib: number; semiMib: number } {
  const mostMib = memoryMib >= rules.largeFromMib ? 4096 : 2048;
  const oldMib = Math.min(memoryMib / 2, mostMib);
  const ratio = oldMib <= 256 ? rules.smallRatio : rules.ratio;
  const semiMib = Math.min(Math.max(oldMib / ratio, rules.leastMib), rules.mostMib);
  return { oldMib: Math.max(oldMib, 256), semiMib: powerOfTwo(semiMib) };
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
