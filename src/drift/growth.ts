/** Where the growth went between two explanations: by cause, and by mapping. */
import { type Cause, causeNames } from './causes.ts';
import type { ExplainedMapping, Explanation } from './explain_model.ts';
import type { Holder } from './holders.ts';

export interface CauseGrowth {
  readonly cause: Cause | 'unexplained';
  /** Null: in another row, then or now; the change is of what is known. */
  readonly beforeBytes: number | null;
  readonly afterBytes: number | null;
  readonly bytes: number;
}

export interface MappingGrowth {
  /** A file, `[heap]`, or '' for anonymous memory. */
  readonly name: string;
  /** Of the mapping, or of the first of all that have this name; null: many. */
  readonly startAddress: number | null;
  readonly holder: Holder;
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly bytes: number;
}

export interface Moment {
  readonly pid: number;
  readonly name: string;
  readonly takenAtMs: number;
  readonly source: Explanation['source'];
  readonly rssBytes: number;
}

export interface Growth {
  readonly schemaVersion: 1;
  readonly options: Readonly<Record<string, never>>;
  readonly before: Moment;
  readonly after: Moment;
  /** Of Rss; the rows of causes add up to it, and so do those of mappings with `otherBytes`. */
  readonly bytes: number;
  /** Largest growth first. */
  readonly causes: readonly CauseGrowth[];
  readonly mappings: readonly MappingGrowth[];
  /** In mappings that were too small to be kept in one of the two. */
  readonly otherBytes: number;
  /** What makes the two hard to compare. */
  readonly notes: readonly string[];
}

export function growthBetween(before: Explanation, after: Explanation): Growth {
  const bytes = after.rssBytes - before.rssBytes;
  const mappings = mappingGrowth(before, after);
  const listed = mappings.reduce((sum, row) => sum + row.bytes, 0);
  return {
    schemaVersion: 1,
    options: {},
    before: momentOf(before),
    after: momentOf(after),
    bytes,
    causes: causeGrowth(before, after),
    mappings,
    otherBytes: bytes - listed,
    notes: notesOf(before, after),
  };
}

function momentOf({ pid, name, takenAtMs, source, rssBytes }: Explanation): Moment {
  return { pid, name, takenAtMs, source, rssBytes };
}

function causeGrowth(before: Explanation, after: Explanation): CauseGrowth[] {
  const bytesOf = (explanation: Explanation, cause: Cause): number | null =>
    explanation.causes.find((row) => row.cause === cause)?.bytes ?? null;
  const rows: CauseGrowth[] = causeNames.map((cause) => {
    const beforeBytes = bytesOf(before, cause);
    const afterBytes = bytesOf(after, cause);
    return { cause, beforeBytes, afterBytes, bytes: (afterBytes ?? 0) - (beforeBytes ?? 0) };
  });
  rows.push({
    cause: 'unexplained',
    beforeBytes: before.unexplainedBytes,
    afterBytes: after.unexplainedBytes,
    bytes: after.unexplainedBytes - before.unexplainedBytes,
  });
  return rows.sort((a, b) => b.bytes - a.bytes);
}

interface Place {
  readonly name: string;
  readonly holder: Holder;
  readonly startAddress: number;
  count: number;
  rssBytes: number;
}

/**
 * Mappings of one name are one row, and so are V8's, which come and go by the hundred. One that
 * only one of the two has kept was smaller than all that the other has: it is not a row.
 */
function mappingGrowth(before: Explanation, after: Explanation): MappingGrowth[] {
  const places = [placesOf(before), placesOf(after)] as const;
  const isKnown = ({ otherMappings, mappings }: Explanation, bytes: number): boolean =>
    otherMappings.count === 0 || bytes > (mappings.at(-1)?.rssBytes ?? 0);
  const rows: MappingGrowth[] = [];
  for (const key of new Set([...places[0].keys(), ...places[1].keys()])) {
    const [then, now] = [places[0].get(key), places[1].get(key)];
    const place = (now ?? then) as Place;
    const [beforeBytes, afterBytes] = [then?.rssBytes ?? 0, now?.rssBytes ?? 0];
    if (then === undefined && !isKnown(before, afterBytes)) continue;
    if (now === undefined && !isKnown(after, beforeBytes)) continue;
    rows.push({
      name: place.name,
      startAddress: place.count === 1 ? place.startAddress : null,
      holder: place.holder,
      beforeBytes,
      afterBytes,
      bytes: afterBytes - beforeBytes,
    });
  }
  return rows.filter(({ bytes }) => bytes !== 0).sort((a, b) => b.bytes - a.bytes);
}

function placesOf({ mappings }: Explanation): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const mapping of mappings) {
    const key = keyOf(mapping);
    const { name, holder, startAddress, rssBytes } = mapping;
    const place = places.get(key);
    if (place === undefined) {
      places.set(key, { name, holder, startAddress, count: 1, rssBytes });
      continue;
    }
    place.count++;
    place.rssBytes += rssBytes;
  }
  return places;
}

function keyOf({ name, holder, startAddress }: ExplainedMapping): string {
  const isOne = name === '' && holder !== 'v8' && holder !== 'v8-code';
  return `${holder} ${name} ${isOne ? startAddress : ''}`;
}

function notesOf(before: Explanation, after: Explanation): string[] {
  const notes: string[] = [];
  if (before.pid !== after.pid || before.startTimeTicks !== after.startTimeTicks) {
    notes.push('these are two processes: anonymous mappings of one are not those of the other');
  }
  if ((before.source === 'outside') !== (after.source === 'outside')) {
    notes.push('one of them is an estimate from outside: rows of malloc and V8 do not compare');
  }
  if (before.takenAtMs > after.takenAtMs) notes.push('the first was taken after the second');
  return notes;
}
