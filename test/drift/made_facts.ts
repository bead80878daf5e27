/** Mappings that no kernel told of, by address. */
import type { MappingFacts } from '../../src/drift/facts.ts';
import { MappingRows } from '../../src/drift/mapping_rows.ts';

export interface MadeMapping {
  readonly start: number;
  readonly end: number;
  readonly rss?: number;
  readonly pss?: number;
  readonly anonymous?: number;
  readonly hugetlb?: number;
  readonly perms?: string;
  readonly name?: string;
  readonly flags?: string;
  readonly inode?: number;
}

export function rowsOf(mappings: readonly MadeMapping[]): MappingRows {
  return new MappingRows(factsOf(mappings));
}

export function factsOf(mappings: readonly MadeMapping[]): MappingFacts {
  const strings: string[] = [];
  const textOf = (text: string): number => strings.push(text) - 1;
  return {
    length: mappings.length,
    startAddress: mappings.map(({ start }) => start),
    endAddress: mappings.map(({ end }) => end),
    rssBytes: mappings.map(({ rss, start, end }) => rss ?? end - start),
    swapBytes: mappings.map(() => 0),
    anonHugePagesBytes: mappings.map(() => 0),
    pssBytes: mappings.map(({ pss, rss, start, end }) => pss ?? rss ?? end - start),
    anonymousBytes: mappings.map(({ anonymous }) => anonymous ?? 0),
    sharedHugetlbBytes: mappings.map(() => 0),
    privateHugetlbBytes: mappings.map(({ hugetlb }) => hugetlb ?? 0),
    inode: mappings.map(({ inode }) => inode ?? 0),
    permissions: mappings.map(({ perms }) => textOf(perms ?? 'rw-p')),
    name: mappings.map(({ name }) => textOf(name ?? '')),
    vmFlags: mappings.map(({ flags }) => textOf(flags ?? 'rd wr mr mw me ac')),
    deleted: mappings.map(() => 0),
    strings,
  };
}
