import { binding } from '../binding.ts';
import type { NativeMappings, NativeSmaps } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { checkBytes, knownOrNull, nativePid, type Pid } from './arguments.ts';

/**
 * Every field of smaps that kernels 3.10 to 6.18 print, with those of smaps_rollup. Sizes are
 * bytes; `thpEligible` and `protectionKey` are plain numbers. The native list is
 * native/proc/smaps_fields.h, and a test compares the two.
 */
export const mappingFields = [
  'sizeBytes',
  'kernelPageSizeBytes',
  'mmuPageSizeBytes',
  'rssBytes',
  'pssBytes',
  'pssDirtyBytes',
  'pssAnonBytes',
  'pssFileBytes',
  'pssShmemBytes',
  'sharedCleanBytes',
  'sharedDirtyBytes',
  'privateCleanBytes',
  'privateDirtyBytes',
  'referencedBytes',
  'anonymousBytes',
  'ksmBytes',
  'lazyFreeBytes',
  'anonHugePagesBytes',
  'shmemPmdMappedBytes',
  'filePmdMappedBytes',
  'sharedHugetlbBytes',
  'privateHugetlbBytes',
  'swapBytes',
  'swapPssBytes',
  'lockedBytes',
  'nonlinearBytes',
  'thpEligible',
  'protectionKey',
] as const;

export type MappingField = (typeof mappingFields)[number];

/** Where a mapping is and what it is of: the line that maps and smaps begin it with. */
export interface MappingPlace {
  /** Page-aligned, hence exact, also above 2^53. */
  readonly startAddress: number;
  readonly endAddress: number;
  /** As the kernel prints it: `rw-p`, the last letter p (private) or s (shared). */
  readonly permissions: string;
  readonly offsetBytes: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  /** `\012` made a newline again, ` (deleted)` taken off; '' for anonymous memory. */
  readonly name: string;
  /** The file has no name any more. A file whose own name ends in ` (deleted)` looks the same. */
  readonly deleted: boolean;
}

/** One entry of smaps; a field that this kernel does not report is null. */
export type Mapping = MappingPlace & {
  readonly [Field in MappingField]: number | null;
} & {
  /** The kernel's two-letter flags, e.g. `['rd', 'wr', 'mr']`. */
  readonly vmFlags: readonly string[];
};

/**
 * The mappings of one process as columns, in the order of addresses. A row is made only when it is
 * asked for: 10,000 mappings cost what their bytes cost.
 */
export class Mappings {
  readonly length: number;
  /** Fields that this version of memdrift does not know, by the kernel's name; NaN for text. */
  readonly unknownFields: ReadonlyMap<string, Float64Array>;
  readonly #native: NativeSmaps;

  /** Internal: made by readMappings and its kin. */
  constructor(native: NativeSmaps) {
    this.#native = native;
    this.length = native.length;
    this.unknownFields = new Map(
      native.unknownNames.map((name, i) => [name, native.unknownColumns[i] as Float64Array]),
    );
  }

  /** One number per mapping; NaN: this kernel does not report it. The array is not a copy. */
  column(field: MappingField): Float64Array {
    const { columns } = this.#native;
    columns[field] ??= new Float64Array(this.length).fill(Number.NaN);
    return columns[field];
  }

  /** @throws MemdriftError ERR_INVALID when there is no mapping `i`. */
  at(i: number): Mapping {
    const native = this.#native;
    const mapping: Record<string, unknown> = { ...mappingPlaceAt(native, i) };
    for (const field of mappingFields) mapping[field] = knownOrNull(native.columns[field]?.[i]);
    const flags = native.strings[native.vmFlags[i] as number] as string;
    mapping.vmFlags = flags === '' ? [] : flags.split(' ');
    return mapping as unknown as Mapping;
  }

  *[Symbol.iterator](): IterableIterator<Mapping> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /**
   * The sum over all mappings that report the field; null when none does, 0 when there are none.
   */
  totalBytes(field: MappingField): number | null {
    if (this.length === 0) return 0;
    let total = 0;
    let known = false;
    for (const value of this.#native.columns[field] ?? []) {
      if (Number.isNaN(value)) continue;
      total += value;
      known = true;
    }
    return known ? total : null;
  }
}

/** Internal: row `i` of the columns that maps and smaps share. @throws MemdriftError ERR_INVALID */
export function mappingPlaceAt(native: NativeMappings, i: number): MappingPlace {
  if (!Number.isInteger(i) || i < 0 || i >= native.length) {
    throw new MemdriftError(
      'ERR_INVALID',
      `There is no mapping ${String(i)}; the process has ${native.length}, counted from 0.`,
      { index: i, length: native.length },
    );
  }
  return {
    startAddress: native.startAddress[i] as number,
    endAddress: native.endAddress[i] as number,
    permissions: native.strings[native.permissions[i] as number] as string,
    offsetBytes: native.offsetBytes[i] as number,
    deviceMajor: native.deviceMajor[i] as number,
    deviceMinor: native.deviceMinor[i] as number,
    inode: native.inode[i] as bigint,
    name: native.strings[native.name[i] as number] as string,
    deleted: native.deleted[i] !== 0,
  };
}

/**
 * Reads /proc/PID/smaps. Costs what the kernel's walk costs: about 10 ms per mapped GB and 2.6 us
 * per mapping. A zombie or a kernel thread has no mappings, which is no error.
 * @throws MemdriftError ERR_GONE (no such process, or it ended during the read), ERR_DENIED
 * (another user's), ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED (not Linux, no /proc, no smaps in
 * this kernel).
 */
export function readMappings(pid: Pid): Mappings {
  return new Mappings(binding().procRead(nativePid(pid), 'smaps', false));
}

/** readMappings on a thread of libuv's pool: the event loop goes on. */
export async function readMappingsAsync(pid: Pid): Promise<Mappings> {
  return new Mappings(await binding().procRead(nativePid(pid), 'smaps', true));
}

/**
 * What readMappings makes of the text of smaps.
 * @throws MemdriftError ERR_MALFORMED, with the line.
 */
export function parseSmaps(bytes: Uint8Array): Mappings {
  return new Mappings(binding().procParse(checkBytes(bytes), 'smaps'));
}

/**
 * Reads /proc/PID/maps: where the mappings are, not what is resident; 10 times cheaper than smaps.
 */
export function readMaps(pid: Pid): MappingPlace[] {
  return placesOf(binding().procRead(nativePid(pid), 'maps', false));
}

/** readMaps on a thread of libuv's pool. */
export async function readMapsAsync(pid: Pid): Promise<MappingPlace[]> {
  return placesOf(await binding().procRead(nativePid(pid), 'maps', true));
}

/** What readMaps makes of the text of maps. @throws MemdriftError ERR_MALFORMED, with the line. */
export function parseMaps(bytes: Uint8Array): MappingPlace[] {
  return placesOf(binding().procParse(checkBytes(bytes), 'maps'));
}

function placesOf(native: NativeMappings): MappingPlace[] {
  return Array.from({ length: native.length }, (_, i) => mappingPlaceAt(native, i));
}
