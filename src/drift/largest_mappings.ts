/** The mappings that an explanation keeps, so that a later one can say which of them grew. */
import type { ExplainedMapping } from './explain_model.ts';
import type { Holder } from './holders.ts';
import type { MappingRows } from './mapping_rows.ts';
import type { Shares } from './shares.ts';

const mostKept = 500;

/** A row per mapping and holder, the largest first; the rest only as a sum. */
export function largestMappings(
  rows: MappingRows,
  shares: readonly Shares[],
): {
  readonly mappings: readonly ExplainedMapping[];
  readonly otherMappings: { readonly count: number; readonly rssBytes: number };
} {
  const all: { row: number; holder: Holder; rssBytes: number }[] = [];
  for (const [row, parts] of shares.entries()) {
    for (const [holder, rssBytes] of parts) all.push({ row, holder, rssBytes });
  }
  all.sort((a, b) => b.rssBytes - a.rssBytes);
  const rest = all.slice(mostKept);
  return {
    mappings: all.slice(0, mostKept).map(({ row, holder, rssBytes }) => ({
      startAddress: rows.startOf(row),
      endAddress: rows.endOf(row),
      name: rows.nameOf(row),
      holder,
      rssBytes,
    })),
    otherMappings: {
      count: rest.length,
      rssBytes: rest.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    },
  };
}
