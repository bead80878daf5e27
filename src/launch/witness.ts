/**
 * Tells a signal to this process alone from one that other processes got as well: a terminal's, one
 * of kill(-group), or one of a service manager that signals every process of a cgroup.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { binding } from '../binding.ts';
import type { NativeWitness } from '../door_launch.ts';
import { readCounters } from '../proc/counters.ts';

/** The witness beside one program; see native/launch/witness.h. A new process takes some ms. */
export class Witness {
  readonly #program: number;
  readonly #signals: readonly number[];
  #native: NativeWitness | null = null;
  /** Every witness so far, as `pid:startTimeTicks`: the number alone may be used again. */
  readonly processes = new Set<string>();

  /** @param program The process that a witness kills when this one was killed. */
  constructor(program: number, signals: readonly NodeJS.Signals[]) {
    this.#program = program;
    this.#signals = signals.map((signal) => constants.signals[signal]);
    this.#native = this.#start();
  }

  /** Process id of the witness; null when none could be started. */
  get pid(): number | null {
    return this.#native?.pid ?? null;
  }

  /** Returns whether `signal` was sent to more processes than this one; null: not known. */
  had(signal: NodeJS.Signals): boolean | null {
    const pending = this.#pending();
    return pending === null ? null : (pending & bitOf(signal)) !== 0n;
  }

  /**
   * Replaces the witness by one without pending signals. The new one starts before the old one
   * ends.
   */
  renew(): void {
    const old = this.#native;
    this.#native = this.#start();
    if (old !== null) binding().launchEndWitness(old.pid, old.end);
  }

  /** Replaces a witness that has a signal pending which this process never got. */
  forget(): void {
    if (this.#pending() !== 0n) this.renew();
  }

  /** Ends the witness's process. */
  end(): void {
    if (this.#native !== null) binding().launchEndWitness(this.#native.pid, this.#native.end);
    this.#native = null;
  }

  #start(): NativeWitness | null {
    try {
      const native = binding().launchWitness(this.#program, this.#signals);
      this.processes.add(`${native.pid}:${readCounters(native.pid).startTimeTicks}`);
      return native;
    } catch {
      return null;
    }
  }

  /** Returns the mask of pending signals; null when the witness was killed. */
  #pending(): bigint | null {
    if (this.#native === null) return null;
    const status = readFileSync(`/proc/${this.#native.pid}/status`, 'latin1');
    if (/^State:\s+Z/m.test(status)) return null;
    return BigInt(`0x${/^ShdPnd:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? 0}`);
  }
}

function bitOf(signal: NodeJS.Signals): bigint {
  return 1n << BigInt(constants.signals[signal] - 1);
}
