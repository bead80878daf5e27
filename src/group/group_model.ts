/**
 * What `measureGroup` finds and `memdrift ps --json` prints. Sizes are bytes; null is not known,
 * never 0: a process whose smaps the kernel denies has its counters and no PSS or USS.
 */

export interface GroupProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** Its masked arguments, apart by spaces; null: it has none, or they are not shown to us. */
  readonly command: string | null;
  /** The kernel's letter: R running, S sleeping, Z zombie, … */
  readonly state: string;
  readonly rssBytes: number | null;
  readonly ussBytes: number | null;
  readonly pssBytes: number | null;
  /** RssFile + RssShmem: what file or shared pages back, mapped by one process or by many. */
  readonly sharedBytes: number | null;
  readonly rssAnonBytes: number | null;
  readonly swapBytes: number | null;
  /** Huge pages that it maps (hugetlbfs, MAP_HUGETLB), in neither RSS nor PSS; USS has its own. */
  readonly hugetlbBytes: number | null;
  /** VmHWM, within the error of the kernel's counters (some 100 kB per CPU). */
  readonly peakRssBytes: number | null;
}

export interface SegmentHolder {
  readonly pid: number;
  /** Of all its mappings of the segment, copies included; huge pages too. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Pages that writes to a private mapping copied: the process's, not the segment's. */
  readonly copiedBytes: number;
  /** How many of its descriptors have the file open. */
  readonly descriptors: number;
}

/** One file of memory, known by its device and inode, whatever made it and whatever it is named. */
export interface GroupSegment {
  readonly name: string;
  readonly device: string;
  readonly inode: number;
  /** It has no name in a file system, as memfd and SysV segments never have. */
  readonly deleted: boolean;
  /** null: the file cannot be reached. */
  readonly sizeBytes: number | null;
  /** Its pages in memory, mapped or not, without swapped ones; null: not known. */
  readonly residentBytes: number | null;
  readonly swappedBytes: number | null;
  /** Resident pages that no process maps, of the group or outside of it; null: not known. */
  readonly unmappedBytes: number | null;
  /**
   * What the footprint has of it beside Pss: unmapped pages, in as many parts as processes hold the
   * segment, and huge pages; null: not known, or a range.
   */
  readonly chargedBytes: number | null;
  readonly isHugetlb: boolean;
  readonly holders: readonly SegmentHolder[];
  /** How many processes outside of the group map it or have it open. */
  readonly outsideHolders: number;
}

/**
 * Sums over a group. `footprintBytes` = `pssBytes` + `unmappedSegmentBytes` +
 * `hugetlbShareBytes`.
 */
export interface GroupTotals<Value> {
  readonly rssBytes: Value;
  readonly ussBytes: Value;
  readonly pssBytes: Value;
  readonly sharedBytes: Value;
  readonly swapBytes: Value;
  /** Sum of what each process maps. */
  readonly hugetlbBytes: Value;
  /**
   * Resident pages of segments that no process maps: of each segment the part that those of its
   * holders have that are of the group.
   */
  readonly unmappedSegmentBytes: Value;
  /** Huge pages, each once: those of one process, the group's share of others, and held ones. */
  readonly hugetlbShareBytes: Value;
  /** Physical bytes of the group; of disjoint groups they do not overlap. Swap is beside it. */
  readonly footprintBytes: Value;
}

export interface GroupOptions {
  /** Also all descendants of the processes that are named. */
  readonly tree?: boolean;
  /**
   * Paths of files of memory that the group owns, beside those that one of its processes maps or
   * has open: their unmapped pages are all the group's, whoever holds them.
   */
  readonly segments?: readonly string[];
}

export interface GroupSnapshot {
  readonly schemaVersion: 1;
  readonly options: {
    readonly pids: readonly number[];
    readonly tree: boolean;
    readonly segments: readonly string[] | null;
  };
  readonly processes: readonly GroupProcess[];
  /** null where it is not known, or a range. */
  readonly totals: GroupTotals<number | null>;
  /** The sums over what is known: the least that it can be. */
  readonly knownTotals: GroupTotals<number>;
  /**
   * Bounds of the footprint, also for what hidden processes may share; `mostBytes` null: not known.
   */
  readonly footprintRange: { readonly leastBytes: number; readonly mostBytes: number | null };
  readonly unknownPids: readonly number[];
  /**
   * Shared memory and huge pages of processes outside of the group that the kernel does not let us
   * look into: pages that count as unmapped may be among them. null: not known.
   */
  readonly hiddenSharedBytes: number | null;
  /** Descendants that ended while they were looked at. */
  readonly lostPids: readonly number[];
  readonly segments: readonly GroupSegment[];
}
