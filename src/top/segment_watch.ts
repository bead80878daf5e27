/** Segments of a group that changes, and who maps them, at a small part of the time. */
import { existsSync } from 'node:fs';
import { isMemdriftError } from '../errors.ts';
import type { GroupSegment } from '../group/group_model.ts';
import { type SegmentMapping, SegmentTable } from '../group/segments.ts';
import { readMappingsAsync, readMapsAsync } from '../proc/mappings.ts';

/** A process of the group as its counters are now. */
export interface Member {
  readonly pid: number;
  readonly startTimeTicks: number;
  readonly rssShmemBytes: number | null;
}

/** What one read of a process's mappings found. */
interface Found {
  readonly startTimeTicks: number;
  readonly atMs: number;
  readonly rssShmemBytes: number | null;
  readonly mappings: readonly SegmentMapping[];
}

/** Time for reads that there is at the beginning, and at most later. */
const mostCreditMs = 200;
/** A process without a change is read again: it may have mapped what it has not touched. */
const oldMs = 60_000;

export class SegmentWatch {
  readonly #paths: readonly string[] | null;
  readonly #share: number;
  readonly #now: () => number;
  #found = new Map<number, Found>();
  #table: SegmentTable;
  #creditMs = mostCreditMs;
  #creditedAtMs: number;
  #reading: Promise<void> | null = null;

  /**
   * `paths`: files that count, mapped or not; null: every file of /dev/shm that is mapped. `share`
   * of the time may go into reads.
   * @throws MemdriftError ERR_GONE, ERR_DENIED: a path leads to no file.
   */
  constructor(paths: readonly string[] | null, share: number, now = () => performance.now()) {
    this.#paths = paths;
    this.#share = share;
    this.#now = now;
    this.#table = new SegmentTable(paths);
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
  }

  /**
   * As far as processes were read. Between two reads their pages are moved as their RssShmem has
   * moved: new ones are as shared as those that were there.
   */
  segments(members: readonly Member[]): readonly GroupSegment[] {
    // A file that was named may have gone since.
    this.#table = new SegmentTable(this.#paths?.filter((path) => existsSync(path)) ?? null);
    for (const member of members) {
      const found = this.#found.get(member.pid);
      if (found === undefined || found.startTimeTicks !== member.startTimeTicks) continue;
      const moved = movedBy(found.rssShmemBytes, member.rssShmemBytes);
      for (const mapping of found.mappings)
        this.#table.add(member.pid, movedMapping(mapping, moved));
    }
    return this.#table.finish();
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
    const mappings = await this.#mappingsOf(pid, rssShmemBytes);
    this.#found.set(pid, { startTimeTicks, atMs: this.#now(), rssShmemBytes, mappings });
  }

  /** maps costs a tenth of smaps, which is read only where there is something to be found. */
  async #mappingsOf(pid: number, rssShmemBytes: number | null): Promise<readonly SegmentMapping[]> {
    try {
      const places = (await readMapsAsync(pid)).filter((place) => this.#table.concerns(place));
      if (places.length === 0) return [];
      if (rssShmemBytes === 0)
        return places.map((place) => ({ ...place, rssBytes: 0, pssBytes: 0, anonymousBytes: 0 }));
      return [...(await readMappingsAsync(pid))].filter((one) => this.#table.concerns(one));
    } catch (error) {
      // Ended, or not shown to us: nothing is known of it.
      if (isMemdriftError(error, 'ERR_GONE') || isMemdriftError(error, 'ERR_DENIED')) return [];
      throw error;
    }
  }
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
