/** Reads addresses of a few symbols from an executable, which may be any file and is untrusted. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  readonly sizeBytes: number;
}

export interface ElfImage {
  /** False: the addresses of symbols are those in memory. */
  readonly isRelocated: boolean;
  /** Offset in the file and address of the first segment that is loaded. */
  readonly firstLoad: { readonly offset: number; readonly address: number };
  readonly symbols: readonly ElfSymbol[];
}

/** Sizes of the format's structures. */
const size = { header: 64, segment: 56, section: 64, symbol: 24 };
const type = { loadSegment: 1, symbols: 2, relocated: 3, dynamicSymbols: 11 };
/** Node 26 has 19 MB of names. */
const maxTableBytes = 256 * 2 ** 20;

/**
 * Reads the symbols whose names begin with one of `prefixes`; null for a file that is not a 64-bit
 * little-endian ELF file, is damaged, or cannot be read.
 */
export function readElfImage(path: string, prefixes: readonly string[]): ElfImage | null {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    return imageOf(file, prefixes);
  } catch {
    return null;
  } finally {
    if (file !== null) closeSync(file);
  }
}

function imageOf(file: number, prefixes: readonly string[]): ElfImage | null {
  const header = bytesAt(file, 0, size.header);
  // Magic, 64 bits, little endian.
  if (header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return null;
  const firstLoad = recordsAt(file, wordAt(header, 32), {
    bytes: size.segment,
    count: header.readUInt16LE(56),
  }).find((segment) => segment.readUInt32LE(0) === type.loadSegment);
  if (firstLoad === undefined) return null;
  const sections = recordsAt(file, wordAt(header, 40), {
    bytes: size.section,
    count: header.readUInt16LE(60),
  });
  return {
    isRelocated: header.readUInt16LE(16) === type.relocated,
    firstLoad: { offset: wordAt(firstLoad, 8), address: wordAt(firstLoad, 16) },
    symbols: sections.flatMap((section) => symbolsOf(file, { section, sections }, prefixes)),
  };
}

interface Table {
  readonly section: Buffer;
  readonly sections: readonly Buffer[];
}

function symbolsOf(
  file: number,
  { section, sections }: Table,
  prefixes: readonly string[],
): ElfSymbol[] {
  const isTable = [type.symbols, type.dynamicSymbols].includes(section.readUInt32LE(4));
  const names = sections[section.readUInt32LE(40)];
  if (!isTable || names === undefined) return [];
  const text = contentOf(file, names);
  const wanted = namesIn(text, prefixes);
  if (wanted.size === 0) return [];
  const entries = contentOf(file, section);
  const found: ElfSymbol[] = [];
  for (let at = 0; at + size.symbol <= entries.length; at += size.symbol) {
    const name = wanted.get(entries.readUInt32LE(at));
    if (name === undefined) continue;
    const [address, sizeBytes] = [wordAt(entries, at + 8), wordAt(entries, at + 16)];
    found.push({ name, address, sizeBytes });
  }
  return found;
}

/**
 * Returns names by their offset: a linker shares the ends of names, so one may begin within
 * another.
 */
function namesIn(text: Buffer, prefixes: readonly string[]): Map<number, string> {
  const names = new Map<number, string>();
  for (const prefix of prefixes) {
    for (let at = text.indexOf(prefix); at >= 0; at = text.indexOf(prefix, at + 1)) {
      const end = text.indexOf(0, at);
      if (end >= 0) names.set(at, text.toString('latin1', at, end));
    }
  }
  return names;
}

function contentOf(file: number, section: Buffer): Buffer {
  return bytesAt(file, wordAt(section, 24), wordAt(section, 32));
}

function recordsAt(
  file: number,
  offset: number,
  { bytes, count }: { readonly bytes: number; readonly count: number },
): Buffer[] {
  const all = bytesAt(file, offset, bytes * count);
  return Array.from({ length: count }, (_, i) => all.subarray(i * bytes, (i + 1) * bytes));
}

/** @throws RangeError when the file has fewer bytes, or a table is larger than any of Node's. */
function bytesAt(file: number, offset: number, length: number): Buffer {
  const { size: fileBytes } = fstatSync(file);
  if (length > maxTableBytes || offset + length > fileBytes) throw new RangeError('damaged');
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const read = readSync(file, bytes, done, length - done, offset + done);
    if (read === 0) throw new RangeError('it became shorter');
    done += read;
  }
  return bytes;
}

/** Returns a 64-bit word; from 2^53 on it is inexact, and every use refuses it as out of range. */
function wordAt(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}
