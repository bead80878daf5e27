/**
 * What `measureGroup` finds and `memdrift ps --json` prints. Sizes are bytes; null is not known,
 * never 0: a process whose smaps the kernel denies has its counters and no PSS or USS.
 */

export interface GroupProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** The kernel's letter: R running, S sleeping, Z zombie, … */
  readonly state: string;
  readonly rssBytes: number | null;
  readonly ussBytes: number | null;
  readonly pssBytes: number | null;
  /** RssFile + RssShmem: what file or shared pages back, mapped by one process or by many. */
  readonly sharedBytes: number | null;
  readonly rssAnonBytes: number | null;
  readonly swapBytes: number | null;
  /** VmHWM, within the error of the kernel's counters (some 100 kB per CPU). */
  readonly peakRssBytes: number | null;
}

export interface SegmentHolder {
  readonly pid: number;
  /** Of all its mappings of the segment, copies included. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Pages that writes to a private mapping copied: the process's, not the segment's. */
  readonly copiedBytes: number;
}

/** One file of shared memory, known by its device and inode, whatever names lead to it. */
export interface GroupSegment {
  readonly name: string;
  readonly device: string;
  readonly inode: number;
  readonly deleted: boolean;
  readonly sizeBytes: number | null;
  /** Its pages in memory, mapped or not; null when the file cannot be reached (deleted). */
  readonly residentBytes: number | null;
  /** residentBytes less the Pss of those of the group that map it: pages that nobody maps. */
  readonly unmappedBytes: number | null;
  readonly holders: readonly SegmentHolder[];
}

/** Sums over a group. `footprintBytes` = `pssBytes` + `unmappedSegmentBytes`. */
export interface GroupTotals<Value> {
  readonly rssBytes: Value;
  readonly ussBytes: Value;
  readonly pssBytes: Value;
  readonly sharedBytes: Value;
  readonly swapBytes: Value;
  /** Resident pages of the group's segments that no process of it maps. */
  readonly unmappedSegmentBytes: Value;
  /** Physical bytes of the group, each page once; swap is beside it. */
  readonly footprintBytes: Value;
}

export interface GroupOptions {
  /** Also all descendants of the processes that are named. */
  readonly tree?: boolean;
  /**
   * Paths of the files of shared memory that the group owns, mapped or not. Default: every file of
   * /dev/shm that one of the group maps.
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
  /** null where a process that is not known would be needed. */
  readonly totals: GroupTotals<number | null>;
  /** The sums over what is known. */
  readonly knownTotals: GroupTotals<number>;
  readonly unknownPids: readonly number[];
  /** Descendants that ended while they were looked at. */
  readonly lostPids: readonly number[];
  readonly segments: readonly GroupSegment[];
}
