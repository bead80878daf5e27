import { type BigIntStats, statSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import type { Mapping, MappingPlace } from '../proc/mappings.ts';
import type { GroupSegment, SegmentHolder } from './group_model.ts';

const shmFolder = '/dev/shm';
const blockBytes = 512;

/** What counts of a mapping of a segment. */
export type SegmentMapping = MappingPlace &
  Pick<Mapping, 'rssBytes' | 'pssBytes' | 'anonymousBytes'>;

/** The files of shared memory of a group, by device and inode, filled process by process. */
export class SegmentTable {
  readonly #segments = new Map<string, SegmentBuilder>();
  /** Device of the files that count without being named; null when segments were named. */
  readonly #ownedDevice: string | null;

  /** @throws MemdriftError ERR_GONE, ERR_DENIED: a path that was given leads to no file. */
  constructor(paths: readonly string[] | null) {
    this.#ownedDevice = paths === null ? deviceOfFolder(shmFolder) : null;
    for (const path of paths ?? []) {
      const stats = statOf(path);
      const place = { ...devicePartsOf(stats.dev), inode: stats.ino };
      const segment = new SegmentBuilder({ name: path, deleted: false, ...place }, stats);
      this.#segments.set(keyOf(place), segment);
    }
  }

  /** Whether `place` is of a segment that counts, so that its smaps are worth reading. */
  concerns(place: MappingPlace): boolean {
    if (place.inode === 0n) return false;
    return this.#segments.has(keyOf(place)) || deviceTextOf(place) === this.#ownedDevice;
  }

  add(pid: number, mapping: SegmentMapping): void {
    if (!this.concerns(mapping)) return;
    const key = keyOf(mapping);
    let segment = this.#segments.get(key);
    if (!segment) {
      segment = new SegmentBuilder(mapping, statOfMapped(pid, mapping));
      this.#segments.set(key, segment);
    }
    segment.add(pid, mapping);
  }

  finish(): GroupSegment[] {
    return [...this.#segments.values()].map((segment) => segment.finish());
  }
}

type SegmentPlace = Pick<
  MappingPlace,
  'name' | 'deleted' | 'deviceMajor' | 'deviceMinor' | 'inode'
>;

class SegmentBuilder {
  readonly #place: SegmentPlace;
  readonly #stats: BigIntStats | null;
  readonly #holders = new Map<number, SegmentHolder>();

  constructor(place: SegmentPlace, stats: BigIntStats | null) {
    this.#place = place;
    this.#stats = stats;
  }

  add(pid: number, mapping: SegmentMapping): void {
    const before = this.#holders.get(pid) ?? { pid, rssBytes: 0, pssBytes: 0, copiedBytes: 0 };
    const copied = mapping.anonymousBytes ?? 0;
    this.#holders.set(pid, {
      pid,
      rssBytes: before.rssBytes + (mapping.rssBytes ?? 0),
      pssBytes: before.pssBytes + Math.max(0, (mapping.pssBytes ?? 0) - copied),
      copiedBytes: before.copiedBytes + copied,
    });
  }

  finish(): GroupSegment {
    const holders = [...this.#holders.values()];
    const residentBytes = this.#stats && Number(this.#stats.blocks) * blockBytes;
    const mapped = holders.reduce((sum, holder) => sum + holder.pssBytes, 0);
    return {
      name: this.#place.name,
      device: deviceTextOf(this.#place),
      inode: Number(this.#place.inode),
      deleted: this.#place.deleted,
      sizeBytes: this.#stats && Number(this.#stats.size),
      residentBytes,
      // The two are read one after the other: a page given back meanwhile must not count below 0.
      unmappedBytes: residentBytes === null ? null : Math.max(0, residentBytes - mapped),
      holders,
    };
  }
}

function keyOf(place: Pick<MappingPlace, 'deviceMajor' | 'deviceMinor' | 'inode'>): string {
  return `${deviceTextOf(place)}:${place.inode}`;
}

function deviceTextOf(place: Pick<MappingPlace, 'deviceMajor' | 'deviceMinor'>): string {
  return `${place.deviceMajor}:${place.deviceMinor}`;
}

/** A device number as glibc's and musl's makedev pack it. */
function devicePartsOf(device: bigint): { deviceMajor: number; deviceMinor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return { deviceMajor: Number(major), deviceMinor: Number(minor) };
}

function deviceOfFolder(path: string): string | null {
  const stats = statOrNull(path);
  return stats && deviceTextOf(devicePartsOf(stats.dev));
}

function statOrNull(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return null;
  }
}

function statOf(path: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
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

/**
 * The file behind a mapping: by its name where that still leads to it, else (deleted, renamed, in
 * another mount namespace) through map_files, which takes CAP_CHECKPOINT_RESTORE or root.
 */
function statOfMapped(pid: number, mapping: MappingPlace): BigIntStats | null {
  const range = [mapping.startAddress, mapping.endAddress]
    .map((address) => address.toString(16))
    .join('-');
  for (const path of [mapping.name, `/proc/${pid}/map_files/${range}`]) {
    const stats = statOrNull(path);
    if (
      stats?.ino === mapping.inode &&
      keyOf({ ...devicePartsOf(stats.dev), inode: stats.ino }) === keyOf(mapping)
    )
      return stats;
  }
  return null;
}
