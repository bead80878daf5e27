/** Which processes are looked at when none are named: those of one user, or all for root. */
import { readdirSync } from 'node:fs';
import { type Counters, readCountersIfAny } from '../proc/counters.ts';

/** What was found to be of no concern is asked again: a number may be another process's. */
const forgetMs = 60_000;

/** Finds processes that nobody follows yet. */
export class NewMembers {
  readonly #uid: number;
  readonly #now: () => number;
  #others = new Set<number>();
  #forgottenAtMs: number;

  /** `uid` 0: everybody's. */
  constructor(uid: number, now = () => performance.now()) {
    this.#uid = uid;
    this.#now = now;
    this.#forgottenAtMs = now();
  }

  /** Those besides `followed`; kernel threads have no memory and are not among them. */
  find(followed: ReadonlySet<number>): readonly number[] {
    if (this.#now() - this.#forgottenAtMs > forgetMs) {
      this.#others = new Set();
      this.#forgottenAtMs = this.#now();
    }
    const found: number[] = [];
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const pid = Number(entry);
      if (followed.has(pid) || this.#others.has(pid)) continue;
      if (this.#isWanted(readCountersIfAny(pid))) found.push(pid);
      else this.#others.add(pid);
    }
    return found;
  }

  #isWanted(counters: Counters | null): boolean {
    if (counters === null || counters.vmSizeBytes === null) return false;
    return this.#uid === 0 || counters.effectiveUid === this.#uid;
  }
}
