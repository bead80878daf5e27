/** Makes a library whose relocation takes long, as that of large libraries does. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const symbolCount = 30_000;
/** This many words name each symbol, and each is looked up. */
const wordsPerSymbol = 12;
const suffix = 'x'.repeat(40);

/**
 * Makes `libmany.so` in `folder`, which needs `libprovider.so` beside it; returns its path. Its
 * constructor leaves a block of 7,000,001 bytes; `allocate_many(n)` leaves n blocks of 77 bytes.
 */
export function makeLibraryOfManySymbols(folder: string): string {
  const names = Array.from({ length: symbolCount }, (_, i) => `f${i}_${suffix}`);
  const provided = names
    .map((name) => `.globl ${name}\n.type ${name},@function\n${name}: ret\n.size ${name},1\n`)
    .join('');
  writeFileSync(join(folder, 'provider.s'), `.text\n${provided}.section .note.GNU-stack\n`);
  // Neighbours differ: the linker remembers the last symbol that it looked up.
  const words = Array.from({ length: wordsPerSymbol }, () => names).flat();
  // The words that a tracker changes are relocated first, in pages that become read-only last.
  const table = ['malloc', ...words].map((name) => `.quad ${name}\n`).join('');
  writeFileSync(
    join(folder, 'table.s'),
    `.section .data.rel.ro,"aw"\n${table}.section .note.GNU-stack\n`,
  );
  writeFileSync(
    join(folder, 'many.c'),
    `#include <stdlib.h>
     static void* volatile sink;
     __attribute__((constructor)) static void in_constructor(void) { sink = malloc(7000001); }
     long allocate_many(long n) { for (long i = 0; i < n; i++) sink = malloc(77); return n; }`,
  );
  const compile = (...args: string[]) =>
    execFileSync('cc', ['-O1', '-shared', '-fPIC', ...args], { cwd: folder });
  compile('-nostdlib', 'provider.s', '-o', 'libprovider.so');
  compile(
    'many.c',
    'table.s',
    '-L.',
    '-lprovider',
    '-Wl,-rpath,$ORIGIN,-z,now,-z,nocombreloc',
    '-o',
    'libmany.so',
  );
  return join(folder, 'libmany.so');
}
