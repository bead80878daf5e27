/** A segment's part of a footprint beside the Pss of its mappings. */

/** Bytes between two bounds; `most` is null where nothing bounds it. */
export interface Range {
  readonly least: number;
  readonly most: number | null;
}

export interface SegmentSum {
  /** The group's part of pages that no process maps. */
  readonly unmapped: Range;
  /** The group's part of its huge pages, which no Pss has: mapped ones and others. */
  readonly hugetlb: Range;
  /** True when the file was not reached: all of the machine's shared memory could be in it. */
  readonly isUnreached: boolean;
}

export const nothing: Range = { least: 0, most: 0 };

export function exactly(bytes: number): Range {
  return { least: bytes, most: bytes };
}

export function sumOf(ranges: readonly Range[]): Range {
  return ranges.reduce(
    (sum, { least, most }) => ({
      least: sum.least + least,
      most: sum.most === null || most === null ? null : sum.most + most,
    }),
    nothing,
  );
}

/** The value where both bounds are one. */
export function exactOrNull({ least, most }: Range): number | null {
  return least === most ? least : null;
}
