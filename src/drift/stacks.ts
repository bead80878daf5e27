/** Which memory threads have as their stacks. */
import type { Numbers } from './facts.ts';
import type { MappingRows } from './mapping_rows.ts';
import type { Claim } from './shares.ts';

/** A page more than a control block has above its list of mutexes, up to the end of the stack. */
const mostAboveBytes = 64 << 10;
const pageBytes = 4096;

/**
 * A stack is a mapping with its thread's control block at its upper end; where the kernel has made
 * one mapping of it and of what is above, it is the lower part.
 */
export function stacksOf(
  rows: MappingRows,
  threadBlocks: Numbers,
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
