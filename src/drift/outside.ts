/** Puts every resident byte of a process under a cause by its mappings alone, which is a guess. */

import { isArena } from './arena_shape.ts';
import { besideOf } from './beside.ts';
import { inOrder, kernelRow, privateDetail } from './cause_rows.ts';
import type { CauseRow } from './causes.ts';
import type { MappingFacts } from './facts.ts';
import { holdersOf } from './holders.ts';
import { largestMappings } from './largest_mappings.ts';
import { allocatorOf, blockClaims } from './malloc_shapes.ts';
import { MappingRows } from './mapping_rows.ts';
import type { ExplainedPages, PagesContext } from './pages.ts';
import { disjoint, sharesOf, sumsOf } from './shares.ts';
import { stacksOf } from './stacks.ts';

export interface OutsideFacts {
  readonly mappings: MappingFacts;
  readonly vmRssBytes: number | null;
  readonly threadBlocks: ArrayLike<number>;
  /** False: another program, whose memory no JavaScript holds. */
  readonly isNode: boolean | null;
}

const mostOtherPages = 65536;

type Of = Parameters<typeof kernelRow>[0];

export function explainOutside(facts: OutsideFacts, context: PagesContext): ExplainedPages {
  const rows = new MappingRows(facts.mappings);
  const allocator = allocatorOf(rows);
  const isGlibc = allocator === 'glibc';
  const { residentIn, ownFile } = context;
  const stacks = stacksOf(rows, facts.threadBlocks);
  const hasShape = isGlibc || allocator === null;
  const holders = holdersOf(rows, {
    ownFile,
    stackRows: stacks.rows,
    rest: hasShape ? 'unexplained' : 'malloc',
    isSurelyNode: false,
    allocator,
  });
  for (let i = 0; hasShape && i < rows.length; i++) {
    if (holders[i] === 'unexplained' && isArena(rows, i)) holders[i] = 'malloc';
  }
  const isCandidate = (i: number): boolean => isGlibc && holders[i] === 'unexplained';
  const search = { ...context, isCandidate, mostOtherPages };
  const claims = disjoint([...blockClaims(rows, search), ...stacks.claims]);
  const { shares } = sharesOf(rows, holders, { claims, residentIn });
  const of = sumsOf(shares);
  return {
    rssBytes: rows.total('rssBytes'),
    vmRssBytes: facts.vmRssBytes,
    causes: rowsFromOutside(of, allocator, facts),
    unexplainedBytes: of('unexplained'),
    beside: besideOf(rows, shares),
    malloc: {
      allocator: allocator ?? 'not known',
      arenas: null,
      own: null,
      mapped: null,
      trimBytes: null,
      exactness: null,
      reason: 'what is in use and what is freed is not known from outside',
    },
    v8: null,
    byThread: null,
    ...largestMappings(rows, shares),
  };
}

function rowsFromOutside(
  of: Of,
  allocator: string | null,
  { isNode, threadBlocks }: OutsideFacts,
): CauseRow[] {
  const threads = threadBlocks.length + 1;
  const isOther = isNode === false;
  const estimated = (bytes: number | null, detail: string) =>
    ({ bytes, exactness: 'estimated', detail }) as const;
  const malloc = allocator ?? 'an allocator that is not known';
  const notTold = estimated(null, 'in malloc-in-use: not told apart from outside');
  const none = estimated(0, '');
  const inV8Heap = isOther ? none : estimated(null, 'in v8-heap: not told apart from outside');
  return inOrder({
    'v8-heap': estimated(of('v8'), 'all that V8 has mapped for data, by a flag of its mappings'),
    'v8-free': inV8Heap,
    'v8-pooled': inV8Heap,
    'v8-code': estimated(of('v8-code'), 'what V8 has mapped for code, by a flag of its mappings'),
    'array-buffers': isOther ? none : notTold,
    'external-strings': isOther ? none : notTold,
    'wasm-memory': isOther ? none : estimated(null, 'in unexplained: not told apart from outside'),
    'malloc-in-use': estimated(
      of('malloc'),
      `${malloc}: in use or freed, not known from outside${isOther ? '' : '; Buffers are in it'}`,
    ),
    'malloc-freed': notTold,
    'malloc-top': notTold,
    'thread-stacks': estimated(of('thread-stacks'), `threads that are seen: ${threads}`),
    'shared-segment': kernelRow(of, 'shared-segment', 'other processes may map the same pages'),
    'file-code': kernelRow(of, 'file-code', 'pages of their files; other processes share them'),
    'file-data': kernelRow(of, 'file-data', 'pages of the page cache while they are mapped'),
    'file-private': kernelRow(of, 'file-private', privateDetail),
    memdrift: kernelRow(of, 'memdrift', 'the addon; what it mapped is not seen from outside'),
    'kernel-special': kernelRow(of, 'kernel-special', ''),
  });
}
