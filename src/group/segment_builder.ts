/** One segment of a group, from its mappings and descriptors to what it adds to the footprint. */
import type { GroupSegment, SegmentHolder } from './group_model.ts';
import { deviceTextOf, type SegmentFile, type SegmentPlace } from './segment_file.ts';
import { hugeOf, MappedPages, pageBytes, pssOf, type SegmentMapping } from './segment_mappings.ts';
import {
  exactly,
  exactOrNull,
  nothing,
  type Range,
  type SegmentSum,
  sumOf,
} from './segment_sum.ts';

/** Sources for a segment's swapped pages. */
export interface SwapFacts {
  /** Swap in use on the machine; null: unknown. */
  readonly swapUsedBytes: number | null;
  /** Returns the swapped bytes of a file, by a path to it; null: unknown. */
  readonly swappedOf: (path: string) => number | null;
}

export class SegmentBuilder {
  readonly #place: SegmentPlace;
  readonly #isHugetlb: boolean;
  readonly #isOwned: boolean;
  #file: SegmentFile | null = null;
  readonly #holders = new Map<number, SegmentHolder>();
  readonly #outside = new Set<number>();
  readonly #mapped = new MappedPages();

  /** `isOwned`: all unmapped pages are the group's. */
  constructor(place: SegmentPlace, kind: { isHugetlb: boolean; isOwned: boolean }) {
    this.#place = place;
    this.#isHugetlb = kind.isHugetlb;
    this.#isOwned = kind.isOwned;
  }

  get isReached(): boolean {
    return this.#file !== null;
  }

  reach(file: SegmentFile | null): void {
    this.#file = file ?? this.#file;
  }

  add(pid: number, mapping: SegmentMapping): void {
    const before = this.#holderOf(pid);
    const copied = mapping.anonymousBytes ?? 0;
    const huge = hugeOf(mapping);
    this.#holders.set(pid, {
      ...before,
      rssBytes: before.rssBytes + (mapping.rssBytes ?? 0) + huge.ownBytes + huge.sharedBytes,
      pssBytes: before.pssBytes + pssOf(mapping),
      copiedBytes: before.copiedBytes + copied,
    });
    this.#mapped.add(pid, mapping, true);
  }

  hold(pid: number): void {
    const before = this.#holderOf(pid);
    this.#holders.set(pid, { ...before, descriptors: before.descriptors + 1 });
  }

  addOutside(pid: number, mapping: SegmentMapping): void {
    this.#outside.add(pid);
    this.#mapped.add(pid, mapping, false);
  }

  holdOutside(pid: number): void {
    this.#outside.add(pid);
  }

  get needsOutside(): boolean {
    if (this.#file === null || this.#mapped.sharedHugeBytes > 0) return true;
    const { allocatedBytes } = this.#file;
    const mapped = this.#mapped.pagesOf(exactly(allocatedBytes));
    return allocatedBytes - mapped.least - this.#mapped.ownHugeBytes > 0;
  }

  finish(swap: SwapFacts): { segment: GroupSegment; sum: SegmentSum } {
    const swapped = this.#swappedBytes(swap);
    const resident = this.#file && residentOf(this.#file, swapped);
    const unmapped = resident && this.#unmappedOf(resident);
    const file = this.#file;
    const sum = this.#sumOf(unmapped);
    const segment: GroupSegment = {
      name: this.#place.name,
      device: deviceTextOf(this.#place),
      inode: Number(this.#place.inode),
      deleted: this.#place.deleted,
      sizeBytes: file?.sizeBytes ?? null,
      residentBytes: resident && exactOrNull(resident),
      swappedBytes: exactOrNull(swapped),
      unmappedBytes: unmapped && exactOrNull(unmapped),
      chargedBytes: sum.isUnreached ? null : exactOrNull(sumOf([sum.unmapped, sum.hugetlb])),
      isHugetlb: this.#isHugetlb,
      holders: [...this.#holders.values()],
      outsideHolders: this.#outside.size,
    };
    return { segment, sum };
  }

  #sumOf(unmapped: Range | null): SegmentSum {
    const counted = unmapped === null ? nothing : this.#groupPartOf(unmapped);
    const isUnreached = unmapped === null;
    if (!this.#isHugetlb) return { unmapped: counted, hugetlb: nothing, isUnreached };
    return { unmapped: nothing, hugetlb: this.#hugetlbOf(counted), isUnreached };
  }

  /** Pages that no process maps count equally for each process that holds the segment. */
  #groupPartOf({ least, most }: Range): Range {
    const inGroup = this.#holders.size;
    const part = this.#isOwned ? 1 : inGroup / (inGroup + this.#outside.size);
    return { least: Math.floor(least * part), most: most && Math.floor(most * part) };
  }

  #holderOf(pid: number): SegmentHolder {
    const none = { pid, rssBytes: 0, pssBytes: 0, copiedBytes: 0, descriptors: 0 };
    return this.#holders.get(pid) ?? none;
  }

  #swappedBytes({ swapUsedBytes, swappedOf }: SwapFacts): Range {
    const file = this.#file;
    if (this.#isHugetlb) return nothing;
    if (swapUsedBytes === 0 && this.#mapped.swappedBytes === 0) return nothing;
    if (file === null) return { least: this.#mapped.swappedBytes, most: swapUsedBytes };
    const whole = file.swappedBytes ?? this.#mapped.swappedOfWhole(file.sizeBytes);
    const known = whole ?? (file.path === null ? null : swappedOf(file.path));
    if (known !== null) return exactly(Math.min(known, file.allocatedBytes));
    const most = Math.min(swapUsedBytes ?? Number.POSITIVE_INFINITY, file.allocatedBytes);
    return { least: Math.min(this.#mapped.swappedBytes, most), most };
  }

  #unmappedOf(resident: Range): Range {
    const mapped = this.#isHugetlb ? this.#mapped.hugeOfFile : this.#mapped.pagesOf(resident);
    const least = wholePages(resident.least - (mapped.most ?? 0));
    const most = wholePages((resident.most ?? 0) - mapped.least);
    return { least, most: Math.max(least, most) };
  }

  #hugetlbOf(counted: Range): Range {
    // Every process that maps it is in the group: each page of the file is the group's, mapped or
    // not.
    if (this.#outside.size === 0 && this.#file !== null && this.#mapped.isOfFileAlone)
      return exactly(Math.max(this.#file.allocatedBytes, this.#mapped.groupOwnHugeBytes));
    const own = exactly(this.#mapped.groupOwnHugeBytes);
    return sumOf([counted, own, this.#mapped.groupShareOfHuge]);
  }
}

function residentOf({ allocatedBytes }: SegmentFile, swapped: Range): Range {
  return {
    least: Math.max(0, allocatedBytes - (swapped.most ?? allocatedBytes)),
    most: allocatedBytes - swapped.least,
  };
}

function wholePages(bytes: number): number {
  return Math.ceil(Math.max(0, bytes) / pageBytes) * pageBytes;
}
