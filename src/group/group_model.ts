/**
 * What `measureGroup` finds and `memdrift ps --json` prints. Sizes are bytes; null is not known,
 * never 0: a process whose smaps the kernel denies has its counters and no PSS or USS.
 */

export interface GroupProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** Its masked arguments, separated by spaces; null: it has none, or we may not read them. */
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
  /** Sum of all its mappings of the segment, with copies and huge pages. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Pages that writes to a private mapping copied: the process's, not the segment's. */
  readonly copiedBytes: number;
  /** Number of its descriptors of the file. */
  readonly descriptors: number;
}

/** One memory file, identified by device and inode, whichever call made it. */
export interface GroupSegment {
  readonly name: string;
  readonly device: string;
  readonly inode: number;
  /** True when it has no name in a file system, as memfd and SysV segments never have. */
  readonly deleted: boolean;
  /** null: the file cannot be reached. */
  readonly sizeBytes: number | null;
  /** Its pages in memory, mapped or not, without swapped ones; null: unknown. */
  readonly residentBytes: number | null;
  readonly swappedBytes: number | null;
  /** Resident pages that no process maps, in the group or outside; null: unknown. */
  readonly unmappedBytes: number | null;
  /**
   * Its part of the footprint beside Pss: unmapped pages, divided equally among the processes that
   * hold the segment, and huge pages; null: unknown, or a range.
   */
  readonly chargedBytes: number | null;
  readonly isHugetlb: boolean;
  readonly holders: readonly SegmentHolder[];
  /** Number of processes outside the group that map it or have it open. */
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
  /** Sum of the mappings of each process. */
  readonly hugetlbBytes: Value;
  /**
   * Resident pages of segments that no process maps: of each segment, the part of its holders in
   * the group.
   */
  readonly unmappedSegmentBytes: Value;
  /** Huge pages, each once: those of one process, the group's share of others, and held ones. */
  readonly hugetlbShareBytes: Value;
  /** Physical bytes of the group, without swap; footprints of disjoint groups do not overlap. */
  readonly footprintBytes: Value;
}

export interface GroupOptions {
  /** Also all descendants of the processes that are named. */
  readonly tree?: boolean;
  /**
   * Paths of memory files that the group owns, in addition to those that its processes map or have
   * open: all of their unmapped pages are the group's.
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
  /** null when it is unknown, or a range. */
  readonly totals: GroupTotals<number | null>;
  /** Sums over the known parts: lower bounds. */
  readonly knownTotals: GroupTotals<number>;
  /**
   * Bounds of the footprint, which allow for shares of hidden processes; `mostBytes` null: unknown.
   */
  readonly footprintRange: { readonly leastBytes: number; readonly mostBytes: number | null };
  readonly unknownPids: readonly number[];
  /**
   * Shared memory and huge pages of processes outside the group that we may not examine: pages that
   * count as unmapped may be among them. null: unknown.
   */
  readonly hiddenSharedBytes: number | null;
  /** Descendants that ended while they were looked at. */
  readonly lostPids: readonly number[];
  readonly segments: readonly GroupSegment[];
}
