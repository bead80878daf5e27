import { binding } from '../binding.ts';
import type { NativeRollup } from '../door.ts';
import { checkBytes, knownOrNull, nativePid, type Pid } from './arguments.ts';
import { type MappingField, mappingFields } from './mappings.ts';

/** Fields that have no sum over mappings, and the two that a rollup always has. */
const notListed = [
  'sizeBytes',
  'kernelPageSizeBytes',
  'mmuPageSizeBytes',
  'thpEligible',
  'protectionKey',
  'rssBytes',
  'pssBytes',
] as const satisfies readonly MappingField[];
type SummedField = Exclude<MappingField, (typeof notListed)[number]>;

/**
 * The kernel's sums over the mappings of one process, bytes; null: this source does not report it.
 */
export type Rollup = {
  readonly [Field in SummedField]: number | null;
} & {
  /** smaps: smaps_rollup is missing (Linux before 4.14) or was refused, and smaps was summed. */
  readonly source: 'rollup' | 'smaps';
  readonly rssBytes: number;
  readonly pssBytes: number;
  /**
   * Private_Clean + Private_Dirty + Private_Hugetlb, as psutil has it: what would be free if this
   * process alone ended. Pages of hugetlbfs are in it although they are not in RSS.
   */
  readonly ussBytes: number;
};

const summedFields = mappingFields.filter(
  (field): field is SummedField => !(notListed as readonly MappingField[]).includes(field),
);

/**
 * Reads /proc/PID/smaps_rollup, or sums smaps. The kernel walks the same page tables as for smaps:
 * about 10 ms per mapped GB, but 0.2 us per mapping. A zombie or a kernel thread has sums of 0.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED
 */
export function readRollup(pid: Pid): Rollup {
  return rollupOf(binding().procRead(nativePid(pid), 'rollup', false));
}

/** readRollup on a thread of libuv's pool. */
export async function readRollupAsync(pid: Pid): Promise<Rollup> {
  return rollupOf(await binding().procRead(nativePid(pid), 'rollup', true));
}

/** What readRollup makes of the text of smaps_rollup. @throws MemdriftError ERR_MALFORMED */
export function parseRollup(bytes: Uint8Array): Rollup {
  return rollupOf(binding().procParse(checkBytes(bytes), 'rollup'));
}

function rollupOf(native: NativeRollup): Rollup {
  const rollup: Record<string, unknown> = {
    source: native.source,
    rssBytes: native.rssBytes,
    pssBytes: native.pssBytes,
    ussBytes: native.ussBytes,
  };
  for (const field of summedFields) rollup[field] = knownOrNull(native[field] as number);
  return rollup as unknown as Rollup;
}
