/** Sentences about malloc's memory; of what each remedy gives back, as the walk has counted it. */
import type { ExplainedArena, Explanation } from '../drift/explain_model.ts';
import { type Advice, bytesOf, size, trackingText } from './advice_facts.ts';
import { megabytesWithUnit } from './units.ts';

/** Less is not worth a remedy. */
const leastReturned = 1e6;
/** The initial value of M_TRIM_THRESHOLD and M_MMAP_THRESHOLD. */
const firstThresholdBytes = 128 << 10;

export const mallocAdvices: readonly Advice[] = [
  {
    name: 'freed by the program, kept by malloc',
    cause: 'malloc-freed',
    bytes: (e) => (e.malloc?.arenas == null ? 0 : freedBytes(e)),
    text: freedText,
  },
  {
    name: 'freed, by the allocator’s own statistics',
    cause: 'malloc-freed',
    bytes: (e) => (e.malloc?.own == null ? 0 : freedBytes(e)),
    text: (e) =>
      `${megabytesWithUnit(freedBytes(e))} are freed or reserved by ${e.malloc?.allocator}, ` +
      'which counts them as resident and not allocated.',
  },
  {
    name: 'objects with native memory of which V8 was told little',
    cause: 'malloc-in-use',
    bytes: (e) => (isHiddenFromV8(e) ? (e.deep?.released.mallocBytes ?? 0) : 0),
    text: (e) =>
      `${megabytesWithUnit(e.deep?.released.mallocBytes ?? null)} of malloc's were released by a ` +
      `gc: native memory of objects that nothing references, of which V8 is told little ` +
      `(external is ${megabytesWithUnit(e.v8?.externalBytes ?? null)}), so that it sees no need ` +
      'to collect.',
  },
  {
    name: 'held by native code',
    cause: 'malloc-in-use',
    bytes: (e) => (e.source !== 'outside' && !isHiddenFromV8(e) ? bytesOf(e, 'malloc-in-use') : 0),
    text: (e) =>
      e.malloc?.arenas == null && e.malloc?.own == null
        ? `${size(e, 'malloc-in-use')} are held by native code or Buffers, or freed: ` +
          `${e.malloc?.allocator ?? 'this malloc'} does not say which.`
        : `${size(e, 'malloc-in-use')} are held by native code` +
          `${trackingText(e, 'shows which functions allocate')}.`,
  },
  {
    name: 'malloc, from outside',
    cause: 'malloc-in-use',
    bytes: (e) => (e.source === 'outside' ? bytesOf(e, 'malloc-in-use') : 0),
    text: (e) =>
      `${size(e, 'malloc-in-use')} are malloc's: in use, or freed and kept` +
      (e.tracking.attach
        ? '; without --outside these would be told apart.'
        : ', which cannot be told apart from outside.'),
  },
];

function freedBytes(e: Explanation): number {
  return bytesOf(e, 'malloc-freed') + bytesOf(e, 'malloc-top');
}

/** A gc released native memory that is most of what was held, and that external never had. */
function isHiddenFromV8(e: Explanation): boolean {
  const { deep, v8 } = e;
  const released = deep?.released;
  if (released?.mallocBytes == null || v8 === null) return false;
  const native = released.mallocBytes - Math.max(0, released.arrayBufferBytes);
  return native > bytesOf(e, 'malloc-in-use') / 2 && v8.externalBytes < native / 4;
}

function freedText(e: Explanation): string {
  const { arenas, trimBytes } = e.malloc ?? {};
  const bytes = freedBytes(e);
  const trimmed = trimBytes ?? 0;
  const sentences = [
    `${megabytesWithUnit(bytes)} are freed, and kept by malloc: malloc_trim(0) would give back ` +
      `${megabytesWithUnit(trimmed)} of these now.`,
  ];
  const threshold = thresholdText(arenas ?? [], bytes);
  if (threshold !== null) sentences.push(threshold);
  const kept = bytes - trimmed;
  if (kept >= Math.max(leastReturned, bytes / 2)) {
    sentences.push(`${megabytesWithUnit(kept)} ${whyKept(e)}.`);
  }
  const main = arenas?.find(({ isMain }) => isMain);
  const inMain = (main?.freedBytes ?? 0) + (main?.topBytes ?? 0);
  if (inMain >= 0.9 * bytes) {
    sentences.push('These are in the main arena, which MALLOC_ARENA_MAX does not change.');
  }
  return sentences.join(' ');
}

/** Returns null unless at least half is certain to be given back and all arenas are known. */
function thresholdText(arenas: readonly ExplainedArena[], freed: number): string | null {
  let least = 0;
  let most = 0;
  for (const { fixedThresholds } of arenas) {
    if (fixedThresholds === null) return null;
    least += fixedThresholds.leastBytes;
    most += fixedThresholds.mostBytes;
  }
  if (least < Math.max(leastReturned, freed / 2)) return null;
  const isOne = most - least <= Math.max(2e6, 0.1 * least);
  const range = isOne ? '' : ` to ${megabytesWithUnit(most)}`;
  return (
    `With MALLOC_TRIM_THRESHOLD_=${firstThresholdBytes} in its environment (or ` +
    'MALLOC_MMAP_THRESHOLD_, by the same value) malloc would have given back ' +
    `${megabytesWithUnit(least)}${range} of these itself: a fixed threshold does not rise when ` +
    'the program frees a large block.'
  );
}

/** What is freed and no trim gives back: ends of threads' arenas, and shared pages. */
function whyKept(e: Explanation): string {
  const arenas = e.malloc?.arenas ?? [];
  const ends = arenas.reduce((sum, arena) => sum + arena.topBytes - arena.trimTopBytes, 0);
  const isOfEnds = ends > (freedBytes(e) - (e.malloc?.trimBytes ?? 0)) / 2;
  return isOfEnds
    ? 'are at the ends of arenas, which a trim does not cut off where they are of threads'
    : 'share pages with blocks in use, which no setting of malloc gives back while these live';
}
