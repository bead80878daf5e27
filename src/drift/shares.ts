/** Parts of mappings that are somebody else's than the rest: whose each resident byte is. */
import type { Numbers } from './facts.ts';
import type { Holder } from './holders.ts';
import type { MappingRows } from './mapping_rows.ts';

/** A range of whole pages that is known to be somebody's. */
export interface Claim {
  readonly start: number;
  readonly end: number;
  readonly holder: Holder;
}

/** Resident bytes of a mapping by holder; they add up to its Rss. */
export type Shares = ReadonlyMap<Holder, number>;

/** Resident bytes of each range (starts and ends, in turns); null: the kernel does not say. */
export type ResidentIn = (ranges: Float64Array) => Numbers | null;

/** A page of theirs that the process has written to, in a private mapping, is its own. */
const ofFiles: ReadonlySet<Holder> = new Set(['file-code', 'file-data', 'shared-segment']);

/** Ranges as they come over the boundary: starts and ends, in turns. */
export function claimsOf(ranges: Numbers, holder: Holder, pageBytes = 4096): Claim[] {
  return Array.from({ length: ranges.length / 2 }, (_, i) => ({
    start: Math.floor((ranges[2 * i] as number) / pageBytes) * pageBytes,
    end: Math.ceil((ranges[2 * i + 1] as number) / pageBytes) * pageBytes,
    holder,
  }));
}

/** By address, and none within another: of two that overlap the one that begins first. */
export function disjoint(claims: readonly Claim[]): Claim[] {
  const sorted = [...claims].sort((a, b) => a.start - b.start);
  const result: Claim[] = [];
  let end = 0;
  for (const claim of sorted) {
    const start = Math.max(claim.start, end);
    if (start >= claim.end) continue;
    result.push({ ...claim, start });
    end = claim.end;
  }
  return result;
}

interface Piece extends Claim {
  readonly row: number;
}

/**
 * Each row's Rss by holder: what claims do not cover is its own holder's. Only where claims cover a
 * part of it, the kernel is asked which part is resident; without an answer, parts count by size.
 */
export function sharesOf(
  rows: MappingRows,
  holders: readonly Holder[],
  { claims, residentIn }: { readonly claims: readonly Claim[]; readonly residentIn: ResidentIn },
): { readonly shares: readonly Shares[]; readonly isMeasured: boolean } {
  const pieces = piecesOf(rows, claims);
  const asked = pieces.filter((piece) => !isWhole(rows, piece));
  const ranges = new Float64Array(asked.flatMap(({ start, end }) => [start, end]));
  const answer = asked.length === 0 ? new Float64Array() : residentIn(ranges);
  const residents = new Map(asked.map((piece, i) => [piece, answer?.[i]]));
  const shares = holders.map(() => new Map<Holder, number>());
  const left = holders.map((_, i) => rows.rssOf(i));
  for (const piece of pieces) {
    const known = isWhole(rows, piece) ? rows.rssOf(piece.row) : residents.get(piece);
    // A page that went or came since the mappings were read must not make a row more than it is.
    const bytes = Math.min(known ?? bySize(rows, piece), left[piece.row] as number);
    add(shares[piece.row] as Map<Holder, number>, piece.holder, bytes);
    left[piece.row] = (left[piece.row] as number) - bytes;
  }
  for (const [i, holder] of holders.entries()) {
    const rest = left[i] as number;
    const copied = ofFiles.has(holder) ? Math.min(rest, rows.anonymousOf(i)) : 0;
    add(shares[i] as Map<Holder, number>, 'file-private', copied);
    add(shares[i] as Map<Holder, number>, holder, rest - copied);
  }
  return { shares, isMeasured: answer !== null };
}

/** Of all rows, by holder. */
export function sumsOf(shares: readonly Shares[]): (holder: Holder) => number {
  const sums = new Map<Holder, number>();
  for (const parts of shares) for (const [holder, bytes] of parts) add(sums, holder, bytes);
  return (holder) => sums.get(holder) ?? 0;
}

function piecesOf(rows: MappingRows, claims: readonly Claim[]): Piece[] {
  const pieces: Piece[] = [];
  for (const { start, end, holder } of claims) {
    let row = rows.firstEndingAfter(start);
    for (; row < rows.length && rows.startOf(row) < end; row++) {
      if (rows.rssOf(row) === 0) continue;
      const from = Math.max(start, rows.startOf(row));
      pieces.push({ start: from, end: Math.min(end, rows.endOf(row)), holder, row });
    }
  }
  return pieces;
}

function isWhole(rows: MappingRows, { row, start, end }: Piece): boolean {
  return start === rows.startOf(row) && end === rows.endOf(row);
}

function bySize(rows: MappingRows, { row, start, end }: Piece): number {
  return Math.round((rows.rssOf(row) * (end - start)) / (rows.endOf(row) - rows.startOf(row)));
}

function add(shares: Map<Holder, number>, holder: Holder, bytes: number): void {
  if (bytes > 0) shares.set(holder, (shares.get(holder) ?? 0) + bytes);
}
