/** Puts every resident byte of a process that was asked from within under a cause. */
import { causeRows } from './cause_rows.ts';
import type { Explanation } from './explain_model.ts';
import type { InsideFacts } from './facts.ts';
import { countIsolates, type Holder, holdersOf } from './holders.ts';
import { largestMappings } from './largest_mappings.ts';
import { explainedMalloc } from './malloc_causes.ts';
import { MappingRows } from './mapping_rows.ts';
import { type Claim, claimsOf, disjoint, type ResidentIn, sharesOf } from './shares.ts';

/** What an explanation says of pages; who was asked, and when, is the caller's. */
export type ExplainedPages = Pick<
  Explanation,
  | 'beside'
  | 'causes'
  | 'malloc'
  | 'mappings'
  | 'otherMappings'
  | 'rssBytes'
  | 'unexplainedBytes'
  | 'v8'
  | 'vmRssBytes'
>;

export interface InsideContext {
  readonly ownFile: string | null;
  readonly residentIn: ResidentIn;
}

export function explainInside(facts: InsideFacts, context: InsideContext): ExplainedPages {
  const rows = new MappingRows(facts.mappings);
  const stacks = stacksOf(rows, facts);
  const holders = holdersOf(rows, {
    ownFile: context.ownFile,
    stackRows: stacks.rows,
    rest: facts.malloc.whyNot === null ? 'unexplained' : 'malloc',
  });
  const claims = disjoint([...claimsFrom(rows, facts), ...stacks.claims]);
  const { residentIn } = context;
  const { shares, isMeasured } = sharesOf(rows, holders, { claims, residentIn });
  const sums = new Map<Holder, number>();
  for (const parts of shares) {
    for (const [holder, bytes] of parts) sums.set(holder, (sums.get(holder) ?? 0) + bytes);
  }
  const of = (holder: Holder): number => sums.get(holder) ?? 0;
  const isolates = Math.max(1, countIsolates(rows));
  const v8 = { residentBytes: of('v8'), readOnlyBytes: readOnlyBytes(rows, holders), isolates };
  return {
    rssBytes: rows.total('rssBytes'),
    vmRssBytes: facts.vmRssBytes,
    causes: causeRows({ facts, of, v8, isMeasured }),
    unexplainedBytes: of('unexplained'),
    beside: {
      anonHugePagesBytes: rows.total('anonHugePagesBytes'),
      swapBytes: rows.total('swapBytes'),
    },
    malloc: explainedMalloc(facts.malloc),
    v8: { ...facts.v8, isolates },
    ...largestMappings(rows, shares),
  };
}

/** What malloc, V8 and we ourselves say is theirs. */
function claimsFrom(rows: MappingRows, { malloc, ownRanges }: InsideFacts): Claim[] {
  const own = claimsOf(ownRanges, 'memdrift');
  if (malloc.whyNot !== null) return own;
  const elsewhere = claimsOf(malloc.buffers.elsewhere, 'array-buffers');
  return [
    ...own,
    ...malloc.arenas.flatMap(({ ranges }) => claimsOf(ranges, 'malloc')),
    ...claimsOf(malloc.mapped?.ranges ?? [], 'malloc'),
    // Views of shared memory and of files stay with these; and what is no memory is no buffer.
    ...elsewhere.filter(({ start }) => {
      const row = rows.rowAt(start);
      return row !== -1 && rows.isAnonymous(row) && rows.permissionsOf(row).startsWith('rw-p');
    }),
  ];
}

/** A page more than a control block has above its list of mutexes, up to the end of the stack. */
const mostAboveBytes = 64 << 10;
const pageBytes = 4096;

/**
 * A stack is a mapping with its thread's control block at its upper end; where the kernel has made
 * one mapping of it and of what is above, it is the lower part.
 */
function stacksOf(
  rows: MappingRows,
  { threadBlocks }: InsideFacts,
): { readonly rows: ReadonlySet<number>; readonly claims: readonly Claim[] } {
  const whole = new Set<number>();
  const claims: Claim[] = [];
  for (const block of Array.from(threadBlocks)) {
    const row = rows.rowAt(block);
    if (row === -1 || !rows.isAnonymous(row)) continue;
    if (rows.endOf(row) - block <= mostAboveBytes || rows.hasFlag(row, 'nh')) {
      whole.add(row);
      continue;
    }
    const end = Math.ceil((block + pageBytes / 2) / pageBytes) * pageBytes;
    claims.push({ start: rows.startOf(row), end, holder: 'thread-stacks' });
  }
  return { rows: whole, claims };
}

function readOnlyBytes(rows: MappingRows, holders: readonly Holder[]): number {
  let sum = 0;
  for (const [i, holder] of holders.entries()) {
    if (holder === 'v8' && rows.permissionsOf(i)[1] !== 'w') sum += rows.rssOf(i);
  }
  return sum;
}
