/** One smaps read as rows that the rules ask questions of. */
import type { MappingFacts } from './facts.ts';

type SummedColumn =
  | 'anonHugePagesBytes'
  | 'privateHugetlbBytes'
  | 'pssBytes'
  | 'rssBytes'
  | 'sharedHugetlbBytes'
  | 'swapBytes';

/** Rows by their number, in the order of addresses. */
export class MappingRows {
  readonly length: number;
  readonly #facts: MappingFacts;
  readonly #executableFiles = new Set<string>();

  constructor(facts: MappingFacts) {
    this.#facts = facts;
    this.length = facts.length;
    for (let i = 0; i < this.length; i++) {
      if (this.isFile(i) && this.permissionsOf(i)[2] === 'x') {
        this.#executableFiles.add(this.#fileOf(i));
      }
    }
  }

  startOf(i: number): number {
    return this.#facts.startAddress[i] as number;
  }

  endOf(i: number): number {
    return this.#facts.endAddress[i] as number;
  }

  rssOf(i: number): number {
    return this.#facts.rssBytes[i] as number;
  }

  nameOf(i: number): string {
    return this.#textOf(this.#facts.name[i]);
  }

  isDeleted(i: number): boolean {
    return this.#facts.deleted[i] !== 0;
  }

  permissionsOf(i: number): string {
    return this.#textOf(this.#facts.permissions[i]);
  }

  /** The kernel's two-letter flags, with a space before and behind each. */
  hasFlag(i: number, flag: string): boolean {
    return ` ${this.#textOf(this.#facts.vmFlags[i])} `.includes(` ${flag} `);
  }

  /** Of no file; a program may have named it with prctl(PR_SET_VMA_ANON_NAME). */
  isAnonymous(i: number): boolean {
    if (this.#facts.inode[i] !== 0) return false;
    const name = this.nameOf(i);
    return name === '' || name.startsWith('[anon:');
  }

  isFile(i: number): boolean {
    return this.#facts.inode[i] !== 0;
  }

  /** A file of which some mapping can be executed: a program or a library, with its data. */
  isOfProgram(i: number): boolean {
    return this.isFile(i) && this.#executableFiles.has(this.#fileOf(i));
  }

  /** Row `i` begins where the one before ends. */
  followsDirectly(i: number): boolean {
    return i > 0 && this.endOf(i - 1) === this.startOf(i);
  }

  /** The row that `address` is in, or -1. */
  rowAt(address: number): number {
    const i = this.firstEndingAfter(address);
    return i < this.length && this.startOf(i) <= address ? i : -1;
  }

  /** The first row that ends behind `address`. */
  firstEndingAfter(address: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.endOf(middle) > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  pssOf(i: number): number {
    return this.#facts.pssBytes[i] as number;
  }

  /** Anonymous pages: in a private mapping of a file, the process's own copies. */
  anonymousOf(i: number): number {
    return this.#facts.anonymousBytes[i] || 0;
  }

  total(column: SummedColumn): number {
    let sum = 0;
    for (let i = 0; i < this.length; i++) sum += this.#facts[column][i] || 0;
    return sum;
  }

  /** Huge pages of row `i`. */
  hugeOf(i: number): number {
    return this.#facts.anonHugePagesBytes[i] || 0;
  }

  #fileOf(i: number): string {
    return `${this.#facts.inode[i]} ${this.nameOf(i)}`;
  }

  #textOf(index: number | undefined): string {
    return this.#facts.strings[index as number] ?? '';
  }
}
