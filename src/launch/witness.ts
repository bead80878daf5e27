/**
 * Tells a signal that was sent to this process alone from one that other processes were sent as
 * well: the terminal's, those of kill(-group), and those of a service manager that signals every
 * process of a cgroup.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { binding } from '../binding.ts';
import type { NativeWitness } from '../door_launch.ts';
import { readCounters } from '../proc/counters.ts';

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

  /** The witness's process; null where the system has none to give. */
  get pid(): number | null {
    return this.#native?.pid ?? null;
  }

  /** True if `signal` was sent to more processes than this one; null: not known. */
  had(signal: NodeJS.Signals): boolean | null {
    const pending = this.#pending();
    return pending === null ? null : (pending & bitOf(signal)) !== 0n;
  }

  /** Forgets what it had. The new one is there before the old one has gone. */
  renew(): void {
    const old = this.#native;
    this.#native = this.#start();
    if (old !== null) binding().launchEndWitness(old.pid, old.end);
  }

  /** Forgets what this process never got, if there is any. */
  forget(): void {
    if (this.#pending() !== 0n) this.renew();
  }

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

  /** A mask of signals; a witness that was killed has none any more, and is replaced. */
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
