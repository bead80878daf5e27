/** The shared memory of a group by device and inode, whichever call made it. */
import type { HeldFile, HeldFiles, MemoryDevice } from '../proc/held_files.ts';
import type { MappingPlace } from '../proc/mappings.ts';
import type { GroupSegment } from './group_model.ts';
import { SegmentBuilder, type SwapFacts } from './segment_builder.ts';
import {
  deviceTextOf,
  type FileIdentity,
  fileOfHeld,
  fileOfMapped,
  fileOfPath,
  keyOf,
  placeOfHeld,
  type SegmentPlace,
  withLiveName,
} from './segment_file.ts';
import type { SegmentMapping } from './segment_mappings.ts';
import type { SegmentSum } from './segment_sum.ts';

/** A group's segments, filled process by process: the group's first, then those outside. */
export class SegmentTable {
  readonly #segments = new Map<string, SegmentBuilder>();
  /** Whether a device's files are huge pages, by device. */
  readonly #devices = new Map<string, boolean>();

  /**
   * `paths`: files that the group owns: all of their unmapped pages are its own.
   * @throws MemdriftError ERR_GONE, ERR_DENIED: a path leads to no file.
   */
  constructor(paths: readonly string[]) {
    for (const path of paths) {
      const { place, file, isHugetlb } = fileOfPath(path);
      const segment = new SegmentBuilder(place, { isHugetlb, isOwned: true });
      segment.reach(file);
      this.#segments.set(keyOf(place), segment);
    }
  }

  /** Devices whose files are memory, as a process sees them. */
  addDevices(devices: readonly MemoryDevice[]): void {
    for (const device of devices) this.#devices.set(deviceTextOf(device), device.isHugetlb);
  }

  /** Returns whether `place` belongs to a segment, so that its smaps are worth reading. */
  concerns(place: MappingPlace): boolean {
    if (place.inode === 0n) return false;
    return this.#devices.has(deviceTextOf(place)) || this.has(place);
  }

  /** Returns whether it belongs to a known segment. */
  has(place: FileIdentity): boolean {
    return this.#segments.has(keyOf(place));
  }

  isHugetlb(place: FileIdentity): boolean {
    return this.#devices.get(deviceTextOf(place)) === true;
  }

  /** Adds a mapping of a process of the group. */
  add(pid: number, mapping: SegmentMapping): void {
    if (!this.concerns(mapping)) return;
    const segment = this.#segmentOf(mapping, () => withLiveName(pid, mapping));
    if (!segment.isReached) segment.reach(fileOfMapped(pid, mapping));
    segment.add(pid, mapping);
  }

  /** Adds the descriptors of a process of the group. */
  hold(pid: number, { files, devices }: HeldFiles): void {
    this.addDevices(devices);
    for (const file of files) {
      const segment = this.#segmentOf(file, () => withLiveName(pid, placeOfHeld(file)));
      segment.reach(fileOfHeld(pid, file));
      segment.hold(pid);
    }
  }

  addOutside(pid: number, mapping: SegmentMapping): void {
    const segment = this.#segments.get(keyOf(mapping));
    if (segment === undefined) return;
    if (!segment.isReached) segment.reach(fileOfMapped(pid, mapping));
    segment.addOutside(pid, mapping);
  }

  holdOutside(pid: number, files: readonly HeldFile[]): void {
    for (const file of files) {
      const segment = this.#segments.get(keyOf(file));
      if (segment === undefined) continue;
      if (!segment.isReached) segment.reach(fileOfHeld(pid, file));
      segment.holdOutside(pid);
    }
  }

  /** Returns whether processes outside the group can change its share. */
  get needsOutside(): boolean {
    return [...this.#segments.values()].some((segment) => segment.needsOutside);
  }

  finish(swap: SwapFacts): { segments: GroupSegment[]; sums: readonly SegmentSum[] } {
    const built = [...this.#segments.values()].map((segment) => segment.finish(swap));
    return {
      segments: built.map(({ segment }) => segment),
      sums: built.map(({ sum }) => sum),
    };
  }

  #segmentOf(place: FileIdentity, placed: () => SegmentPlace): SegmentBuilder {
    const key = keyOf(place);
    let segment = this.#segments.get(key);
    if (segment === undefined) {
      segment = new SegmentBuilder(placed(), {
        isHugetlb: this.isHugetlb(place),
        isOwned: false,
      });
      this.#segments.set(key, segment);
    }
    return segment;
  }
}
