/** Which memory is malloc's by what it looks like, and who allocates: what needs no walk. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { MappingRows } from './mapping_rows.ts';
import type { Claim, ResidentIn } from './shares.ts';

const pageBytes = 4096;

/** Libraries that take malloc's place, by what is in their names. */
const otherAllocators = [
  [/\/libjemalloc/, 'jemalloc'],
  [/\/libmimalloc/, 'mimalloc'],
  [/\/libtcmalloc/, 'tcmalloc'],
  [/\/libsnmalloc/, 'snmalloc'],
  [/\/ld-musl/, 'musl'],
  [/\/lib[atml]san\.so/, 'a sanitizer’s allocator'],
] as const;

/** `glibc`, the name of another one, or null: not known by the files that are mapped. */
export function allocatorOf(rows: MappingRows): string | null {
  let isGlibc = false;
  for (let i = 0; i < rows.length; i++) {
    if (!rows.isFile(i)) continue;
    const name = rows.nameOf(i);
    const other = otherAllocators.find(([pattern]) => pattern.test(name));
    if (other) return other[1];
    if (/\/libc(-2\.\d+)?\.so/.test(name)) isGlibc = true;
  }
  return isGlibc ? 'glibc' : null;
}

export interface BlockSearch {
  readonly pid: number | 'self';
  /** Where to look at all. */
  readonly isCandidate: (row: number) => boolean;
  readonly residentIn: ResidentIn;
  /** Pages that are looked at and have no header: so many, and no more. */
  readonly mostOtherPages: number;
}

/**
 * Blocks that are mappings of their own, by malloc's header in their first page; the kernel makes
 * one mapping of neighbours. Pages that are not resident are not read: a read would make them so.
 */
export function blockClaims(rows: MappingRows, search: BlockSearch): Claim[] {
  let memory: number;
  try {
    memory = openSync(`/proc/${search.pid}/mem`, 'r');
  } catch {
    return [];
  }
  try {
    const claims: Claim[] = [];
    let left = search.mostOtherPages;
    for (let i = 0; i < rows.length && left > 0; i++) {
      if (!search.isCandidate(i) || !canHaveBlocks(rows, i)) continue;
      left -= addBlocks(rows, i, { ...search, memory, left, claims });
    }
    return claims;
  } finally {
    closeSync(memory);
  }
}

interface RowSearch extends BlockSearch {
  readonly memory: number;
  readonly left: number;
  readonly claims: Claim[];
}

/** How many pages had no header. */
function addBlocks(rows: MappingRows, i: number, search: RowSearch): number {
  const { claims, left, memory, residentIn } = search;
  const end = rows.endOf(i);
  let others = 0;
  for (let start = rows.startOf(i); start < end && others < left; ) {
    const page = new Float64Array([start, start + pageBytes]);
    const isResident = (residentIn(page)?.[0] ?? 0) > 0;
    const bytes = isResident ? blockBytesAt(memory, start) : 0;
    if (bytes > 0 && start + bytes <= end) {
      claims.push({ start, end: start + bytes, holder: 'malloc' });
      start += bytes;
    } else {
      others++;
      start += pageBytes;
    }
  }
  return others;
}

function canHaveBlocks(rows: MappingRows, i: number): boolean {
  const isPlain = rows.isAnonymous(i) && rows.permissionsOf(i).startsWith('rw-p');
  return isPlain && rows.hasFlag(i, 'ac') && !rows.hasFlag(i, 'dc') && rows.rssOf(i) > 0;
}

/** Nothing before it, a size of whole pages, and the flag that it is mapped. */
function blockBytesAt(memory: number, start: number): number {
  const header = Buffer.alloc(16);
  try {
    if (readSync(memory, header, 0, 16, start) !== 16) return 0;
  } catch {
    return 0;
  }
  const word = header.readBigUInt64LE(8);
  if (header.readBigUInt64LE(0) !== 0n || (word & 7n) !== 2n) return 0;
  const bytes = Number(word & ~7n);
  return bytes % pageBytes === 0 ? bytes : 0;
}
