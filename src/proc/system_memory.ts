/** Shared memory and swap of the whole machine, as the kernel reports them. */
import { readFileSync } from 'node:fs';

/** Bytes; null: not reported by this kernel. */
export interface SystemMemory {
  /** Resident pages of all tmpfs files, memfds, SysV segments and shared anonymous mappings. */
  readonly shmemBytes: number | null;
  /** Huge pages of all sizes, free ones included. */
  readonly hugetlbBytes: number | null;
  readonly swapUsedBytes: number | null;
}

export function readSystemMemory(): SystemMemory {
  return parseMeminfo(textOf('/proc/meminfo'));
}

export function parseMeminfo(text: string): SystemMemory {
  const fields = new Map<string, number>();
  for (const [, name, kilobytes] of text.matchAll(/^(\w+):\s+(\d+) kB$/gm))
    fields.set(name as string, Number(kilobytes) * 1024);
  const total = fields.get('SwapTotal');
  const free = fields.get('SwapFree');
  return {
    shmemBytes: fields.get('Shmem') ?? null,
    hugetlbBytes: fields.get('Hugetlb') ?? null,
    swapUsedBytes: total === undefined || free === undefined ? null : total - free,
  };
}

/** A System V segment in /proc/sysvipc/shm, which every user may read. */
export interface SysvSegment {
  readonly sizeBytes: number;
  readonly residentBytes: number;
  readonly swappedBytes: number;
}

/** Returns the segments of our IPC namespace by shmid, which is the inode of their mappings. */
export function readSysvSegments(): Map<bigint, SysvSegment> {
  return parseSysvSegments(textOf('/proc/sysvipc/shm'));
}

export function parseSysvSegments(text: string): Map<bigint, SysvSegment> {
  const [head = '', ...lines] = text.split('\n');
  const names = head.trim().split(/\s+/);
  const segments = new Map<bigint, SysvSegment>();
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const numberOf = (name: string): number => Number(words[names.indexOf(name)]);
    const segment = {
      sizeBytes: numberOf('size'),
      residentBytes: numberOf('rss'),
      swappedBytes: numberOf('swap'),
    };
    const id = numberOf('shmid');
    if (![id, ...Object.values(segment)].some(Number.isNaN)) segments.set(BigInt(id), segment);
  }
  return segments;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
