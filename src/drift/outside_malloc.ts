/** What can be told from outside of who allocates, and which memory is malloc's. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { MappingRows } from './mapping_rows.ts';
import type { Claim } from './shares.ts';

const heapBytes = 64 << 20;
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

/**
 * glibc's arenas by their shape: the heap of brk(), and mappings that begin at multiples of 64 MiB,
 * reserved without being accounted for; V8's own have a flag that these have not.
 */
export function arenaClaims(rows: MappingRows): Claim[] {
  const claims: Claim[] = [];
  for (let i = 0; i < rows.length; i++) {
    const isArena =
      rows.isAnonymous(i) &&
      rows.startOf(i) % heapBytes === 0 &&
      rows.hasFlag(i, 'nr') &&
      !rows.hasFlag(i, 'dc') &&
      rows.permissionsOf(i).startsWith('rw-p');
    if (isArena || rows.nameOf(i) === '[heap]') {
      claims.push({ start: rows.startOf(i), end: rows.endOf(i), holder: 'malloc' });
    }
  }
  return claims;
}

/** Pages that are looked at and have no header: so many, and no more, in all mappings. */
const mostOtherPages = 65536;

/**
 * Blocks that are mappings of their own, by malloc's header in their first page; the kernel makes
 * one mapping of neighbours. Pages that are not resident are not read: a read would make them so.
 */
export function blockClaims(
  rows: MappingRows,
  pid: number,
  isResident: (start: number) => boolean,
): Claim[] {
  let memory: number;
  try {
    memory = openSync(`/proc/${pid}/mem`, 'r');
  } catch {
    return [];
  }
  try {
    const claims: Claim[] = [];
    let otherPages = 0;
    for (let i = 0; i < rows.length; i++) {
      if (!isCandidate(rows, i)) continue;
      let start = rows.startOf(i);
      while (start < rows.endOf(i) && otherPages < mostOtherPages) {
        const bytes = isResident(start) ? blockBytesAt(memory, start) : 0;
        const isBlock = bytes > 0 && start + bytes <= rows.endOf(i);
        if (isBlock) claims.push({ start, end: start + bytes, holder: 'malloc' });
        else otherPages++;
        start += isBlock ? bytes : pageBytes;
      }
    }
    return claims;
  } finally {
    closeSync(memory);
  }
}

function isCandidate(rows: MappingRows, i: number): boolean {
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
