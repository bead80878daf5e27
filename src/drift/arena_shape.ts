/** What an arena of glibc's malloc looks like among mappings. */
import type { MappingRows } from './mapping_rows.ts';

const heapBytes = 64 << 20;

/**
 * glibc's arenas by their shape: the heap of brk(), and mappings that begin at multiples of 64 MiB,
 * reserved without being accounted for; V8's own have a flag that these have not.
 */
export function isArena(rows: MappingRows, i: number): boolean {
  if (rows.nameOf(i) === '[heap]') return true;
  return (
    rows.isAnonymous(i) &&
    rows.startOf(i) % heapBytes === 0 &&
    rows.hasFlag(i, 'nr') &&
    !rows.hasFlag(i, 'dc') &&
    rows.permissionsOf(i).startsWith('rw-p')
  );
}
