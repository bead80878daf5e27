/** The signals of a launcher, each of which reaches its program once. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Witness } from './witness.ts';

const signals = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGTSTP',
  'SIGCONT',
] as const;
type Forwarded = (typeof signals)[number];

/** What a terminal sends to its foreground group. */
const fromTerminal: ReadonlySet<Forwarded> = new Set(['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH']);

/**
 * A process group has a signal at one moment, and its newest member first, which the witness is. A
 * service manager signals processes one after the other: this long one is waited for.
 */
const graceMs = 50;
/** How long a program that was sent SIGTSTP may take to stop. */
const stopMs = 1000;

interface Arrival {
  readonly signal: Forwarded;
  isSettled: boolean;
}

export class ForwardedSignals {
  #arrivals: Arrival[] = [];
  readonly #groupHadUntilMs = new Map<Forwarded, number>();
  #program: { readonly pid: number; readonly witness: Witness } | null = null;
  #isOver = false;
  #continued = 0;

  /** From here on this process ends of none of them. */
  constructor() {
    for (const signal of signals) process.on(signal, () => this.#arrived(signal));
  }

  /** Sends them to process `pid`, a child of this process, in the same group. */
  to(pid: number): void {
    this.#program = { pid, witness: new Witness(pid, signals) };
  }

  get witness(): Pick<Witness, 'pid' | 'processes'> | null {
    return this.#program?.witness ?? null;
  }

  /** The program has ended: its number may be another process's. */
  end(): void {
    this.#isOver = true;
    this.#program?.witness.end();
  }

  #arrived(signal: Forwarded): void {
    if (this.#isOver) return;
    if (signal === 'SIGCONT') this.#continued++;
    this.#discard(signal);
    // Sent to the group before the witness was renewed, and read by this process after it.
    if (performance.now() < (this.#groupHadUntilMs.get(signal) ?? 0)) return;
    const arrival = { signal, isSettled: false };
    this.#arrivals.push(arrival);
    setTimeout(() => this.#settle(arrival), graceMs);
  }

  /**
   * As in the kernel, where a process that continues has no stop pending, and one that stops has no
   * SIGCONT pending: neither has the witness.
   */
  #discard(signal: Forwarded): void {
    const opposite = ({ SIGCONT: 'SIGTSTP', SIGTSTP: 'SIGCONT' } as const)[signal as 'SIGCONT'];
    for (const one of this.#arrivals) if (one.signal === opposite) one.isSettled = true;
    this.#arrivals = this.#arrivals.filter((one) => !one.isSettled);
    this.#groupHadUntilMs.delete(opposite);
  }

  #settle(arrival: Arrival): void {
    const { signal } = arrival;
    if (this.#isOver || this.#program === null || arrival.isSettled) return;
    const { pid, witness } = this.#program;
    // Where there is no witness: what a terminal sends, it sends to the program as well.
    const isGroups = witness.had(signal) ?? (process.stdin.isTTY && fromTerminal.has(signal));
    for (const one of this.#arrivals)
      if (one === arrival || (isGroups && one.signal === signal)) one.isSettled = true;
    this.#arrivals = this.#arrivals.filter((one) => !one.isSettled);
    if (isGroups) {
      witness.renew();
      this.#groupHadUntilMs.set(signal, performance.now() + graceMs);
    } else {
      send(pid, signal);
    }
    if (signal === 'SIGTSTP') void this.#stopWith(pid);
    setTimeout(() => this.#forget(), 2 * graceMs);
  }

  /** Until the next signal comes to this process, the witness must have none left. */
  #forget(): void {
    if (!this.#isOver && this.#arrivals.length === 0) this.#program?.witness.forget();
  }

  /** A shell sees that its job has stopped by its own child, which this process is. */
  async #stopWith(pid: number): Promise<void> {
    const continued = this.#continued;
    const untilMs = performance.now() + stopMs;
    while (!isStopped(pid)) {
      if (this.#continued !== continued || performance.now() > untilMs) return;
      await sleep(10);
    }
    if (!this.#isOver && this.#continued === continued) process.kill(process.pid, 'SIGSTOP');
  }
}

function send(pid: number, signal: Forwarded): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended, or is another user's now, whom the sender could not signal either.
  }
}

function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
