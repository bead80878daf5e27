/** What to do about a process whose memory has one cause that stands out. */
import type { Cause } from '../drift/causes.ts';
import type { Explanation } from '../drift/explain_model.ts';
import { counted, megabytesWithUnit } from './units.ts';

/** A cause stands out with so much of the sum, and so many bytes. */
const leastShare = 0.15;
const leastBytes = 16e6;
const mostSentences = 2;

interface Advice {
  readonly bytes: number;
  readonly text: string;
}

/** The largest that stand out, at most two; never none. */
export function adviceOf(explanation: Explanation): string[] {
  const least = Math.max(leastBytes, leastShare * explanation.rssBytes);
  const found = [
    ...freedAdvice(explanation),
    ...Object.entries(simpleAdvice).map(([cause, text]) => ({
      bytes: bytesOf(explanation, cause as Cause),
      text: text(explanation),
    })),
    { bytes: explanation.unexplainedBytes, text: unexplainedAdvice(explanation) },
    hugePagesAdvice(explanation),
  ];
  const standing = found.filter(({ bytes }) => bytes >= least).sort((a, b) => b.bytes - a.bytes);
  if (standing.length > 0) return standing.slice(0, mostSentences).map(({ text }) => text);
  return ['No cause stands out but the program and its libraries, which other processes share.'];
}

function bytesOf({ causes }: Explanation, cause: Cause): number {
  return causes.find((row) => row.cause === cause)?.bytes ?? 0;
}

const size = (explanation: Explanation, cause: Cause): string =>
  megabytesWithUnit(bytesOf(explanation, cause));

/** A sentence or two for each cause that needs nothing but its size. */
const simpleAdvice = {
  'v8-heap': (e) =>
    `${size(e, 'v8-heap')} are V8's heap: memdrift attach ${e.pid} --js-heap shows which ` +
    'functions made the objects, a heap snapshot who keeps them.',
  'v8-pooled': (e) =>
    `${size(e, 'v8-pooled')} are pages that V8 has freed and keeps for its next objects: no ` +
    'leak. They go with later collections; --max-semi-space-size bounds what young objects take.',
  'array-buffers': (e) => buffersAdvice(e),
  'malloc-in-use': (e) => inUseAdvice(e),
  'thread-stacks': (e) =>
    `${size(e, 'thread-stacks')} are stacks: fewer threads (UV_THREADPOOL_SIZE, workers) or ` +
    'smaller ones (resourceLimits.stackSizeMb) take less.',
  'shared-segment': (e) =>
    `${size(e, 'shared-segment')} are shared memory, not this process's alone: sums of RSS count ` +
    'it again in each; memdrift ps counts it once.',
  'file-data': (e) =>
    `${size(e, 'file-data')} are pages of mapped files: page cache, which the kernel takes back ` +
    'when it needs room; no leak.',
} as const satisfies Partial<Record<Cause, (explanation: Explanation) => string>>;

function inUseAdvice(e: Explanation): string {
  const start = `${size(e, 'malloc-in-use')} are held by native code`;
  if (e.source === 'outside') {
    return `${start}, or freed and kept by malloc: asked from within, this would be told apart.`;
  }
  const hidden = bytesOf(e, 'malloc-in-use') > 4 * (e.v8?.externalBytes ?? 0);
  const why = hidden
    ? ', of which V8 is told little (external is ' +
      `${megabytesWithUnit(e.v8?.externalBytes ?? null)}), so that it sees no need to collect`
    : '';
  return `${start}${why}: memdrift attach ${e.pid} shows which functions allocate it.`;
}

function buffersAdvice(e: Explanation): string {
  const start = `${size(e, 'array-buffers')} are contents of Buffers`;
  const own = e.deep?.retained.kinds.own;
  if (own !== undefined && own.referencedBytes < own.heldBytes / 2) {
    return (
      `${start}: ${megabytesWithUnit(own.heldBytes)} are kept by slices that have ` +
      `${megabytesWithUnit(own.referencedBytes)} of them: keep copies (Buffer.from) of what is ` +
      'small.'
    );
  }
  const deep = e.deep === null ? ': --deep says whether it does here' : '';
  return (
    `${start}: memdrift attach ${e.pid} shows who makes them; a slice that is kept keeps the ` +
    `whole Buffer${deep}.`
  );
}

function unexplainedAdvice(e: Explanation): string {
  return (
    `${megabytesWithUnit(e.unexplainedBytes)} are mappings that native code made itself, neither ` +
    `by malloc nor by V8: memdrift attach ${e.pid} shows which functions map.`
  );
}

/** Of what is freed and resident: what would give it back. */
function freedAdvice(e: Explanation): Advice[] {
  const { malloc } = e;
  if (malloc?.arenas == null || malloc.trimBytes === null) return [];
  const bytes = bytesOf(e, 'malloc-freed') + bytesOf(e, 'malloc-top');
  const trim = megabytesWithUnit(malloc.trimBytes);
  const start = `${megabytesWithUnit(bytes)} are freed, and kept by malloc`;
  const others = malloc.arenas.filter(({ isMain }) => !isMain);
  const inOthers = others.reduce((sum, arena) => sum + arena.freedBytes + arena.topBytes, 0);
  const sentences = [`${start}: malloc_trim(0) would give back ${trim} of it now.`];
  if (others.length >= 8 && inOthers > bytes / 2) {
    sentences.push(
      `${megabytesWithUnit(inOthers)} of it are in ${counted(others.length, 'arena')} of ` +
        'threads: MALLOC_ARENA_MAX=2 in its environment makes fewer.',
    );
  } else if (malloc.trimBytes < bytes / 2) {
    sentences.push(
      'The rest is between blocks in use, in the same pages: another allocator (jemalloc by ' +
        'LD_PRELOAD) keeps sizes apart.',
    );
  } else if (inOthers < bytes / 2) {
    sentences.push('It is in the main arena, which MALLOC_ARENA_MAX does not change.');
  }
  return [{ bytes, text: sentences.join(' ') }];
}

/** An attribute of other rows' pages: it is named when it is most of them. */
function hugePagesAdvice({ beside, rssBytes }: Explanation): Advice {
  const bytes = beside.anonHugePagesBytes;
  return {
    bytes: bytes > rssBytes / 2 ? bytes : 0,
    text:
      `${megabytesWithUnit(bytes)} are in transparent huge pages, of which one touched byte ` +
      'makes 2 MiB resident: /sys/kernel/mm/transparent_hugepage/enabled set to madvise ends that.',
  };
}
