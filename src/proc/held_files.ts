/** Memory files that a process has open, and their bytes in swap. */
import { binding } from '../binding.ts';
import { knownOrNull, nativePid, type Pid } from './arguments.ts';

/** A device of memory files: a tmpfs, a hugetlbfs, or the kernel's own for memfd and SysV. */
export interface MemoryDevice {
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly isHugetlb: boolean;
}

export interface HeldFile {
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  readonly descriptor: number;
  /** As the kernel prints it, with ` (deleted)` where the file has no name. */
  readonly name: string;
  readonly sizeBytes: number;
  /** `st_blocks`, which counts swapped pages too. */
  readonly allocatedBytes: number;
}

export interface HeldFiles {
  /** Those that the process can see. */
  readonly devices: readonly MemoryDevice[];
  /** One entry for each descriptor. */
  readonly files: readonly HeldFile[];
}

/**
 * Reads /proc/PID/fd and mountinfo: about 5 us per descriptor of a file.
 * @throws MemdriftError ERR_GONE, ERR_DENIED (another user's), ERR_INVALID, ERR_UNSUPPORTED
 */
export function readHeldFiles(pid: Pid): HeldFiles {
  return binding().procRead(nativePid(pid), 'heldFiles', false);
}

/** readHeldFiles on a thread of libuv's pool. */
export async function readHeldFilesAsync(pid: Pid): Promise<HeldFiles> {
  return binding().procRead(nativePid(pid), 'heldFiles', true);
}

/**
 * Returns the swapped bytes of a memory file; null when it cannot be opened. Reads our own smaps.
 */
export function readSwappedBytes(path: string): number | null {
  return knownOrNull(binding().procSwapped(path));
}
