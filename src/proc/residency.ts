import { binding } from '../binding.ts';
import type { NativeResidency } from '../door.ts';
import { nativePid, type Pid } from './arguments.ts';
import { type MappingPlace, mappingPlaceAt } from './mappings.ts';

/**
 * One mapping and what is resident of it; rssBytes = anonymousBytes + fileBytes, as smaps counts.
 */
export interface ResidentMapping extends MappingPlace {
  readonly rssBytes: number;
  readonly anonymousBytes: number;
  /** Pages of files and of shared memory. */
  readonly fileBytes: number;
  readonly swapBytes: number;
}

/** What is resident in each mapping of one process, as columns in the order of addresses. */
export class Residency {
  readonly length: number;
  /** pagemap: maps and ioctl PAGEMAP_SCAN. smaps: as smaps says, for the reason in `reason`. */
  readonly source: 'pagemap' | 'smaps';
  /** Why smaps was read; '' when it was not. */
  readonly reason: string;
  readonly rssBytes: Float64Array;
  readonly anonymousBytes: Float64Array;
  readonly fileBytes: Float64Array;
  readonly swapBytes: Float64Array;
  readonly #native: NativeResidency;

  /** Internal: made by readResidency. */
  constructor(native: NativeResidency) {
    this.#native = native;
    this.length = native.length;
    this.source = native.source;
    this.reason = native.reason;
    this.rssBytes = native.rssBytes;
    this.anonymousBytes = native.anonymousBytes;
    this.fileBytes = native.fileBytes;
    this.swapBytes = native.swapBytes;
  }

  /** @throws MemdriftError ERR_INVALID when there is no mapping `i`. */
  at(i: number): ResidentMapping {
    return {
      ...mappingPlaceAt(this.#native, i),
      rssBytes: this.rssBytes[i] as number,
      anonymousBytes: this.anonymousBytes[i] as number,
      fileBytes: this.fileBytes[i] as number,
      swapBytes: this.swapBytes[i] as number,
    };
  }

  *[Symbol.iterator](): IterableIterator<ResidentMapping> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

/**
 * RSS, anonymous, file and swapped bytes per mapping, the same as smaps has, about 4 times cheaper
 * where the kernel can scan page tables (6.7) and says what smaps says; from smaps otherwise. Not
 * from the scan: processes with swapped pages, with shared memory while the system swaps, or with
 * private mappings of devices. PSS needs readMappings.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED
 */
export function readResidency(pid: Pid): Residency {
  return new Residency(binding().procRead(nativePid(pid), 'residency', false));
}

/** readResidency on a thread of libuv's pool. */
export async function readResidencyAsync(pid: Pid): Promise<Residency> {
  return new Residency(await binding().procRead(nativePid(pid), 'residency', true));
}
