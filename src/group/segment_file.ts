/** The file behind a segment: paths to it, and its pages in memory. */
import { type BigIntStats, readlinkSync, statfsSync, statSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import type { HeldFile } from '../proc/held_files.ts';
import type { MappingPlace } from '../proc/mappings.ts';
import { readSysvSegments } from '../proc/system_memory.ts';

const blockBytes = 512;

export type FileIdentity = Pick<MappingPlace, 'deviceMajor' | 'deviceMinor' | 'inode'>;
export type SegmentPlace = FileIdentity & Pick<MappingPlace, 'name' | 'deleted'>;

export interface SegmentFile {
  readonly sizeBytes: number;
  /** Pages that it has, in memory or in swap. */
  readonly allocatedBytes: number;
  /** Swapped pages, where the kernel reports them without an open file; null: not reported. */
  readonly swappedBytes: number | null;
  /** Leads to the file as long as the process lives; null: no path does. */
  readonly path: string | null;
}

export function keyOf(place: FileIdentity): string {
  return `${deviceTextOf(place)}:${place.inode}`;
}

export function deviceTextOf(place: Pick<MappingPlace, 'deviceMajor' | 'deviceMinor'>): string {
  return `${place.deviceMajor}:${place.deviceMinor}`;
}

/** A device number as glibc's and musl's makedev pack it. */
function identityOf({ dev, ino }: BigIntStats): FileIdentity {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return { deviceMajor: Number(major), deviceMinor: Number(minor), inode: ino };
}

function statOrNull(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return null;
  }
}

function leadsTo(path: string, place: FileIdentity): BigIntStats | null {
  const stats = statOrNull(path);
  return stats !== null && keyOf(identityOf(stats)) === keyOf(place) ? stats : null;
}

function fileAt(path: string, { size, blocks }: BigIntStats): SegmentFile {
  const allocatedBytes = Number(blocks) * blockBytes;
  return { sizeBytes: Number(size), allocatedBytes, swappedBytes: null, path };
}

export interface NamedFile {
  readonly place: SegmentPlace;
  readonly file: SegmentFile;
  readonly isHugetlb: boolean;
}

const hugetlbfsType = 0x958458f6;

/** @throws MemdriftError ERR_GONE, ERR_DENIED: `path` leads to no file. */
export function fileOfPath(path: string): NamedFile {
  try {
    const stats = statSync(path, { bigint: true });
    const place = { name: path, deleted: false, ...identityOf(stats) };
    const isHugetlb = statfsSync(path).type === hugetlbfsType;
    return { place, file: fileAt(path, stats), isHugetlb };
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
    throw new MemdriftError(
      denied ? 'ERR_DENIED' : 'ERR_GONE',
      `Segment ${path} cannot be looked at: ${(cause as Error).message}. Pass paths of files of ` +
        'shared memory, such as /dev/shm/name.',
      { path, cause },
    );
  }
}

/** Returns a descriptor's file as it is now; null when the descriptor leads to another file. */
export function heldNow(pid: number, held: HeldFile): HeldFile | null {
  const stats = leadsTo(`/proc/${pid}/fd/${held.descriptor}`, held);
  if (stats === null) return null;
  const { sizeBytes, allocatedBytes } = fileAt('', stats);
  return { ...held, sizeBytes, allocatedBytes };
}

export function fileOfHeld(pid: number, held: HeldFile): SegmentFile {
  const { sizeBytes, allocatedBytes, descriptor } = held;
  return { sizeBytes, allocatedBytes, swappedBytes: null, path: `/proc/${pid}/fd/${descriptor}` };
}

/**
 * By its name where that still leads to it, also in the process's own mount namespace, else through
 * map_files, which takes CAP_CHECKPOINT_RESTORE or root. The kernel's list of System V segments
 * needs neither. null: none of these.
 */
export function fileOfMapped(pid: number, mapping: MappingPlace): SegmentFile | null {
  const range = [mapping.startAddress, mapping.endAddress]
    .map((address) => address.toString(16))
    .join('-');
  const { name } = mapping;
  const named = name.startsWith('/') ? [name, `/proc/${pid}/root${name}`] : [];
  for (const path of [...named, `/proc/${pid}/map_files/${range}`]) {
    const stats = leadsTo(path, mapping);
    if (stats !== null) return fileAt(path, stats);
  }
  return sysvFileOf(pid, mapping);
}

function sysvFileOf(pid: number, mapping: MappingPlace): SegmentFile | null {
  // Ids belong to an IPC namespace: in another one the id would be another segment's.
  if (!mapping.name.startsWith('/SYSV') || ipcOf(pid) !== ipcOf('self')) return null;
  const segment = readSysvSegments().get(mapping.inode);
  if (segment === undefined) return null;
  const { sizeBytes, residentBytes, swappedBytes } = segment;
  return { sizeBytes, allocatedBytes: residentBytes + swappedBytes, swappedBytes, path: null };
}

function ipcOf(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/ipc`);
  } catch {
    return null;
  }
}

const deletedMark = ' (deleted)';

/** Returns the place of a descriptor's file, without the kernel's mark in its name. */
export function placeOfHeld(held: HeldFile): SegmentPlace {
  const { deviceMajor, deviceMinor, inode, name } = held;
  const deleted = name.endsWith(deletedMark);
  return {
    deviceMajor,
    deviceMinor,
    inode,
    deleted,
    name: deleted ? name.slice(0, -deletedMark.length) : name,
  };
}

/** The kernel's text of a live file named `x (deleted)` is that of a deleted file named `x`. */
export function withLiveName(pid: number, place: SegmentPlace): SegmentPlace {
  if (!place.deleted) return place;
  const name = place.name + deletedMark;
  const isLive = [name, `/proc/${pid}/root${name}`].some((path) => leadsTo(path, place) !== null);
  return isLive ? { ...place, name, deleted: false } : place;
}
