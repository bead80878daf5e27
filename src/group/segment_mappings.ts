/** Sums of a segment's visible mappings, in the group and outside. */

import type { Mapping, MappingPlace } from '../proc/mappings.ts';
import { exactly, nothing, type Range } from './segment_sum.ts';

export const pageBytes = 4096;

/** The fields of a segment's mapping that count. */
export type SegmentMapping = MappingPlace &
  Pick<
    Mapping,
    | 'rssBytes'
    | 'pssBytes'
    | 'anonymousBytes'
    | 'sharedCleanBytes'
    | 'sharedDirtyBytes'
    | 'swapBytes'
    | 'privateHugetlbBytes'
    | 'sharedHugetlbBytes'
  >;

/** Pages that writes to a private mapping copied belong to the process. */
export function pssOf({ pssBytes, anonymousBytes }: SegmentMapping): number {
  return Math.max(0, (pssBytes ?? 0) - (anonymousBytes ?? 0));
}

/** Huge pages of one process alone, and of several; smaps has neither in Rss nor in Pss. */
export function hugeOf(mapping: SegmentMapping): { ownBytes: number; sharedBytes: number } {
  return {
    ownBytes: mapping.privateHugetlbBytes ?? 0,
    sharedBytes: mapping.sharedHugetlbBytes ?? 0,
  };
}

export class MappedPages {
  /** The most that a mapping has in swap: mappings of the same pages all show them. */
  swappedBytes = 0;
  ownHugeBytes = 0;
  sharedHugeBytes = 0;
  #pssBytes = 0;
  /** Huge pages that one process of the group maps alone. */
  groupOwnHugeBytes = 0;
  #groupSharedHugeBytes = 0;
  #privateHugeBytes = 0;
  #count = 0;
  readonly #wholes: { readonly sizeBytes: number; readonly swappedBytes: number }[] = [];
  readonly #copies = new Copies();

  add(pid: number, mapping: SegmentMapping, isInGroup: boolean): void {
    const { ownBytes, sharedBytes } = hugeOf(mapping);
    const swappedBytes = mapping.swapBytes ?? 0;
    const isShared = mapping.permissions.endsWith('s');
    this.#count++;
    this.#pssBytes += pssOf(mapping);
    this.ownHugeBytes += ownBytes;
    this.sharedHugeBytes += sharedBytes;
    if (isInGroup) this.#groupSharedHugeBytes += sharedBytes;
    if (isInGroup) this.groupOwnHugeBytes += ownBytes;
    if (!isShared) {
      // Swap of a private mapping may be of its copies.
      this.#privateHugeBytes += ownBytes + sharedBytes;
      this.#copies.add(pid, mapping);
      return;
    }
    this.swappedBytes = Math.max(this.swappedBytes, swappedBytes);
    const sizeBytes = mapping.endAddress - mapping.startAddress;
    if (mapping.offsetBytes === 0) this.#wholes.push({ sizeBytes, swappedBytes });
  }

  /** A shared mapping shows what is swapped of its range; null: none is of the whole file. */
  swappedOfWhole(fileBytes: number): number | null {
    return this.#wholes.find(({ sizeBytes }) => sizeBytes >= fileBytes)?.swappedBytes ?? null;
  }

  /**
   * The file's pages that are mapped. The kernel cuts each mapping's Pss to kB, and each page's
   * share to 1/4096 byte. That of up to three mappings leaves one whole number of pages; of more
   * mappings the largest is taken, so that no page counts twice.
   */
  pagesOf({ most }: Range): Range {
    if (this.#count === 0) return nothing;
    const cut = this.#count * (1024 + (most ?? 0) / pageBytes / pageBytes);
    const pages = Math.floor((this.#pssBytes + cut) / pageBytes) * pageBytes;
    const { least } = exactly(Math.max(this.#pssBytes, pages));
    return { least, most: least + this.#copies.sharedByForkBytes };
  }

  /** Of the file's own huge pages: those of private mappings may be copies. */
  get hugeOfFile(): Range {
    const shared = sharesOf(this.sharedHugeBytes, this.#count);
    const inFile = this.ownHugeBytes + shared.least - this.#privateHugeBytes;
    return { least: Math.max(0, inFile), most: this.ownHugeBytes + (shared.most ?? 0) };
  }

  /** No huge page of it can be a copy. */
  get isOfFileAlone(): boolean {
    return this.#privateHugeBytes === 0;
  }

  /** The group's part of huge pages that several processes map. */
  get groupShareOfHuge(): Range {
    return sharesOf(this.#groupSharedHugeBytes, this.#count);
  }
}

/** A shared page is mapped twice at least and by every mapping at most. */
function sharesOf(bytes: number, mappings: number): Range {
  if (bytes === 0) return nothing;
  return { least: Math.floor(bytes / Math.max(2, mappings)), most: Math.floor(bytes / 2) };
}

/** Copies of private mappings: Anonymous has those that fork() shares whole, Pss in part. */
class Copies {
  readonly #byPlace = new Map<string, { readonly pids: Set<number>; doubtBytes: number }>();

  add(pid: number, mapping: SegmentMapping): void {
    const copied = mapping.anonymousBytes ?? 0;
    const shared = (mapping.sharedCleanBytes ?? 0) + (mapping.sharedDirtyBytes ?? 0);
    // A child has its parent's mappings at the same addresses.
    const place = `${mapping.startAddress}:${mapping.offsetBytes}`;
    const before = this.#byPlace.get(place) ?? { pids: new Set(), doubtBytes: 0 };
    before.pids.add(pid);
    before.doubtBytes += Math.min(copied, shared);
    this.#byPlace.set(place, before);
  }

  /** Bound of how much larger the file's part of Pss may be. */
  get sharedByForkBytes(): number {
    const twins = [...this.#byPlace.values()].filter(({ pids }) => pids.size > 1);
    return twins.reduce((sum, { doubtBytes }) => sum + doubtBytes, 0);
  }
}
