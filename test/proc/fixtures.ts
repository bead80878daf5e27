import { readFileSync } from 'node:fs';

/** The bytes of a file of test/fixtures/proc: text of a kernel, named `<file>.<kernel>`. */
export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../fixtures/proc/${name}`, import.meta.url));
}
