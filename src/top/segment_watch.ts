/** Segments of a group that changes, and who maps them, at a small part of the time. */
import { existsSync } from 'node:fs';
import { isMemdriftError } from '../errors.ts';
import type { GroupSegment } from '../group/group_model.ts';
import { lookOutsideAsync, type OutsideTable } from '../group/outside.ts';
import { heldNow } from '../group/segment_file.ts';
import type { SegmentMapping } from '../group/segment_mappings.ts';
import { SegmentTable } from '../group/segments.ts';
import { type HeldFiles, readHeldFilesAsync, readSwappedBytes } from '../proc/held_files.ts';
import { type MappingPlace, readMappingsAsync, readMapsAsync } from '../proc/mappings.ts';
import { readSystemMemory } from '../proc/system_memory.ts';

/** A process of the group as its counters are now. */
export interface Member {
  readonly pid: number;
  readonly startTimeTicks: number;
  readonly rssShmemBytes: number | null;
}

interface Contents {
  readonly mappings: readonly SegmentMapping[];
  readonly held: HeldFiles;
}

/** Result of one read of a process's mappings and descriptors. */
interface Found extends Contents {
  readonly startTimeTicks: number;
  readonly atMs: number;
  readonly rssShmemBytes: number | null;
}

const nothingFound: Contents = { mappings: [], held: { devices: [], files: [] } };

/** Time for reads that there is at the beginning, and at most later. */
const mostCreditMs = 200;
/** A process without a change is read again: it may have mapped what it has not touched. */
const oldMs = 60_000;
const oldSwapMs = 10_000;
/** Time between two looks at processes outside the group, each of which takes about 0.5 ms. */
const outsideLooksMs = 30_000;

export class SegmentWatch {
  readonly #paths: readonly string[] | null;
  readonly #share: number;
  readonly #now: () => number;
  #found = new Map<number, Found>();
  /** Mappings and descriptors of the group's segments in outside processes, at the last look. */
  #outside: readonly ((table: SegmentTable) => void)[] = [];
  #outsideAtMs = Number.NEGATIVE_INFINITY;
  readonly #swapped = new Map<string, { readonly atMs: number; readonly bytes: number | null }>();
  #creditMs = mostCreditMs;
  #creditedAtMs: number;
  #reading: Promise<void> | null = null;

  /**
   * `paths`: files that count though none of the group may hold them, beside those that one maps or
   * has open. `share` of the time may go into reads.
   * @throws MemdriftError ERR_GONE, ERR_DENIED: a path leads to no file.
   */
  constructor(paths: readonly string[] | null, share: number, now = () => performance.now()) {
    this.#paths = paths;
    this.#share = share;
    this.#now = now;
    // Throws where a path leads to no file.
    new SegmentTable(paths ?? []);
    this.#creditedAtMs = now();
  }

  /** Begins to read what is worth most, if there is time for it; until it has. */
  readSome(members: readonly Member[]): Promise<void> {
    const now = this.#now();
    const credit = this.#creditMs + (now - this.#creditedAtMs) * this.#share;
    this.#creditMs = Math.min(mostCreditMs, credit);
    this.#creditedAtMs = now;
    this.#forget(members);
    this.#reading ??= this.#read(members).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /** Reads all, whatever it takes. */
  async readAll(members: readonly Member[]): Promise<void> {
    await this.#reading;
    this.#forget(members);
    for (const member of members) await this.#readOne(member);
    await this.#lookOutside(members);
  }

  /**
   * As far as processes were read. Between two reads their pages are moved as their RssShmem has
   * moved: new ones are as shared as those that were there.
   */
  segments(members: readonly Member[]): readonly GroupSegment[] {
    const table = this.#tableOf(members);
    for (const addTo of this.#outside) addTo(table);
    const { swapUsedBytes } = readSystemMemory();
    const swappedOf = (path: string): number | null => this.#swappedOf(path);
    return table.finish({ swapUsedBytes, swappedOf }).segments;
  }

  #tableOf(members: readonly Member[]): SegmentTable {
    const table = this.#newTable();
    for (const member of members) {
      const found = this.#found.get(member.pid);
      if (found === undefined || found.startTimeTicks !== member.startTimeTicks) continue;
      table.hold(member.pid, heldFilesNow(member.pid, found.held));
      const moved = movedBy(found.rssShmemBytes, member.rssShmemBytes);
      for (const mapping of found.mappings) table.add(member.pid, movedMapping(mapping, moved));
    }
    return table;
  }

  async #lookOutside(members: readonly Member[]): Promise<void> {
    this.#outsideAtMs = this.#now();
    const table = this.#tableOf(members);
    const outside: ((table: SegmentTable) => void)[] = [];
    const recorder: OutsideTable = {
      has: (place) => table.has(place),
      addOutside: (pid, mapping) => outside.push((to) => to.addOutside(pid, mapping)),
      holdOutside: (pid, files) => {
        const known = files.filter((file) => table.has(file));
        if (known.length > 0) outside.push((to) => to.holdOutside(pid, known));
      },
    };
    if (table.needsOutside)
      await lookOutsideAsync(new Set(members.map(({ pid }) => pid)), recorder);
    this.#outside = outside;
  }

  /** Returns a new table without the named files that have gone since. */
  #newTable(): SegmentTable {
    return new SegmentTable(this.#paths?.filter((path) => existsSync(path)) ?? []);
  }

  /** Returns an answer of a while ago where there is one: each costs a read of our own smaps. */
  #swappedOf(path: string): number | null {
    const now = this.#now();
    for (const [one, { atMs }] of this.#swapped)
      if (now - atMs > oldSwapMs) this.#swapped.delete(one);
    const known = this.#swapped.get(path);
    if (known !== undefined) return known.bytes;
    const bytes = readSwappedBytes(path);
    this.#swapped.set(path, { atMs: now, bytes });
    return bytes;
  }

  #forget(members: readonly Member[]): void {
    const left = new Map<number, Found>();
    for (const { pid, startTimeTicks } of members) {
      const found = this.#found.get(pid);
      if (found?.startTimeTicks === startTimeTicks) left.set(pid, found);
    }
    this.#found = left;
  }

  async #read(members: readonly Member[]): Promise<void> {
    for (const member of this.#due(members)) {
      if (this.#creditMs <= 0) return;
      const before = this.#now();
      await this.#readOne(member);
      // Time, not CPU time, which nobody counts for a thread of the pool: it is never less.
      this.#creditMs -= this.#now() - before;
    }
    const before = this.#now();
    if (this.#creditMs <= 0 || before - this.#outsideAtMs < outsideLooksMs) return;
    await this.#lookOutside(members);
    this.#creditMs -= this.#now() - before;
  }

  /** Those that were never read first, then those that moved most, then the oldest. */
  #due(members: readonly Member[]): readonly Member[] {
    const now = this.#now();
    const worth = (member: Member): number => {
      const found = this.#found.get(member.pid);
      if (found === undefined) return Number.POSITIVE_INFINITY;
      const moved = Math.abs((member.rssShmemBytes ?? 0) - (found.rssShmemBytes ?? 0));
      if (moved > 0) return moved;
      return now - found.atMs < oldMs ? 0 : (now - found.atMs) / 1e9;
    };
    return members
      .map((member) => ({ member, worth: worth(member) }))
      .filter((one) => one.worth > 0)
      .sort((a, b) => (a.worth === b.worth ? 0 : b.worth - a.worth))
      .map(({ member }) => member);
  }

  async #readOne({ pid, startTimeTicks, rssShmemBytes }: Member): Promise<void> {
    const contents = await contentsOf({ pid, rssShmemBytes }, this.#newTable());
    this.#found.set(pid, { startTimeTicks, atMs: this.#now(), rssShmemBytes, ...contents });
  }
}

type Looked = Pick<Member, 'pid' | 'rssShmemBytes'>;

async function contentsOf(member: Looked, table: SegmentTable): Promise<Contents> {
  try {
    const held = await readHeldFilesAsync(member.pid);
    table.addDevices(held.devices);
    return { held, mappings: await mappingsOf(member, table) };
  } catch (error) {
    // It has ended, or we may not read it.
    if (isMemdriftError(error, 'ERR_GONE') || isMemdriftError(error, 'ERR_DENIED'))
      return nothingFound;
    throw error;
  }
}

/** Reads maps first, at a tenth of the cost: smaps is read only when a segment is mapped. */
async function mappingsOf(
  { pid, rssShmemBytes }: Looked,
  table: SegmentTable,
): Promise<readonly SegmentMapping[]> {
  const concerns = (place: MappingPlace): boolean => table.concerns(place);
  const places = (await readMapsAsync(pid)).filter(concerns);
  if (places.length === 0) return [];
  // RssShmem has no huge pages.
  if (rssShmemBytes === 0 && !places.some((place) => table.isHugetlb(place)))
    return places.map((place) => ({ ...place, ...nothingMapped }));
  return [...(await readMappingsAsync(pid))].filter(concerns);
}

const nothingMapped = {
  rssBytes: 0,
  pssBytes: 0,
  anonymousBytes: 0,
  swapBytes: 0,
  sharedCleanBytes: 0,
  sharedDirtyBytes: 0,
  privateHugetlbBytes: 0,
  sharedHugetlbBytes: 0,
};

function heldFilesNow(pid: number, { devices, files }: HeldFiles): HeldFiles {
  return { devices, files: files.flatMap((file) => heldNow(pid, file) ?? []) };
}

function movedBy(then: number | null, now: number | null): number {
  return then === null || now === null || then <= 0 ? 1 : now / then;
}

/** What a private mapping has copied is anonymous, and does not move with the segment's pages. */
function movedMapping(mapping: SegmentMapping, moved: number): SegmentMapping {
  if (moved === 1) return mapping;
  const copied = mapping.anonymousBytes ?? 0;
  const move = (bytes: number | null): number | null =>
    bytes === null ? null : Math.max(0, bytes - copied) * moved + copied;
  return { ...mapping, rssBytes: move(mapping.rssBytes), pssBytes: move(mapping.pssBytes) };
}
