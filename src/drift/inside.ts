/** Puts every resident byte of a process that was asked from within under a cause. */

import { isArena } from './arena_shape.ts';
import { besideOf } from './beside.ts';
import { allCounts, byThreadOf } from './by_thread.ts';
import { causeRows } from './cause_rows.ts';
import type { InsideFacts } from './facts.ts';
import { countIsolates, type Holder, holdersOf } from './holders.ts';
import { largestMappings } from './largest_mappings.ts';
import { explainedMalloc, partsByStatistics } from './malloc_causes.ts';
import { blockClaims } from './malloc_shapes.ts';
import { MappingRows } from './mapping_rows.ts';
import type { ExplainedPages, PagesContext } from './pages.ts';
import { type Claim, claimsOf, disjoint, sharesOf, sumsOf } from './shares.ts';
import { stacksOf } from './stacks.ts';
import { youngFreeBytes } from './v8_causes.ts';
import { mappedBufferClaims } from './wasm_memories.ts';

/** Large blocks of after the walk are looked for in so many pages that are something else. */
const mostOtherPages = 4096;

export function explainInside(facts: InsideFacts, context: PagesContext): ExplainedPages {
  const rows = new MappingRows(facts.mappings);
  const stacks = stacksOf(rows, facts.threadBlocks);
  const holders = holdersOf(rows, {
    ownFile: context.ownFile,
    stackRows: stacks.rows,
    rest: facts.malloc.whyNot === null ? 'unexplained' : 'malloc',
    isSurelyNode: true,
    allocator: facts.malloc.allocator,
  });
  const isWalked = facts.malloc.whyNot === null;
  for (let i = 0; isWalked && i < rows.length; i++) {
    // What an arena has grown by since the walk.
    if (holders[i] === 'unexplained' && isArena(rows, i)) holders[i] = 'malloc';
  }
  const isCandidate = (i: number): boolean => isWalked && holders[i] === 'unexplained';
  const newBlocks = blockClaims(rows, { ...context, isCandidate, mostOtherPages });
  const claims = disjoint([...claimsFrom(rows, facts), ...newBlocks, ...stacks.claims]);
  const { residentIn } = context;
  const { shares, isMeasured } = sharesOf(rows, holders, { claims, residentIn });
  const of = sumsOf(shares);
  const residentBytes = of('malloc') + of('array-buffers');
  const { arrayBuffersBytes } = facts.v8;
  const statistics = partsByStatistics(facts.malloc, { residentBytes, arrayBuffersBytes });
  const othersBytes = isWalked ? 0 : (statistics?.otherBytes ?? 0);
  const wasmMemories = claims.filter(({ holder }) => holder === 'wasm-memory').length;
  const isolates = Math.max(1, countIsolates(rows));
  const v8 = {
    residentBytes: of('v8'),
    readOnlyBytes: readOnlyBytes(rows, holders),
    isolates,
    counts: allCounts(facts, isolates),
  };
  const causes = causeRows({ facts, of, v8, isMeasured, wasmMemories });
  return {
    rssBytes: rows.total('rssBytes'),
    vmRssBytes: facts.vmRssBytes,
    causes,
    byThread: byThreadOf(facts, causes),
    unexplainedBytes: of('unexplained') + othersBytes,
    beside: besideOf(rows, shares),
    malloc: explainedMalloc(facts.malloc),
    v8: { ...facts.v8, isolates, youngFreeBytes: youngFreeBytes(facts.v8.spaces) },
    ...largestMappings(rows, shares),
  };
}

/** What malloc, V8 and we ourselves say is theirs. */
function claimsFrom(rows: MappingRows, { malloc, ownRanges }: InsideFacts): Claim[] {
  const own = claimsOf(ownRanges, 'memdrift');
  if (malloc.whyNot !== null) return own;
  return [
    ...own,
    ...malloc.arenas.flatMap(({ ranges }) => claimsOf(ranges, 'malloc')),
    ...claimsOf(malloc.mapped?.ranges ?? [], 'malloc'),
    ...mappedBufferClaims(rows, malloc.buffers.elsewhere),
  ];
}

function readOnlyBytes(rows: MappingRows, holders: readonly Holder[]): number {
  let sum = 0;
  for (const [i, holder] of holders.entries()) {
    if (holder === 'v8' && rows.permissionsOf(i)[1] !== 'w') sum += rows.rssOf(i);
  }
  return sum;
}
