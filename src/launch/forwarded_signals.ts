/** Forwards a launcher's signals, so that each reaches the program once. */
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

/** Signals that a terminal sends to its foreground group. */
const fromTerminal: ReadonlySet<Forwarded> = new Set(['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH']);

/**
 * How long to wait for a service manager, which signals processes one after the other. A process
 * group gets a signal at one moment, and its newest member first, which is the witness.
 */
const graceMs = 50;
/** How long a program that was sent SIGTSTP may take to stop. */
const stopMs = 1000;

interface Arrival {
  readonly signal: Forwarded;
  isSettled: boolean;
}

/** The forwarding of a launcher's signals to its one program. */
export class ForwardedSignals {
  #arrivals: Arrival[] = [];
  readonly #groupHadUntilMs = new Map<Forwarded, number>();
  #program: { readonly pid: number; readonly witness: Witness } | null = null;
  #isOver = false;
  #continued = 0;

  /** From here on none of these signals ends this process. */
  constructor() {
    for (const signal of signals) process.on(signal, () => this.#arrived(signal));
  }

  /** Forwards the signals to `pid`, a child of this process in the same group. */
  to(pid: number): void {
    this.#program = { pid, witness: new Witness(pid, signals) };
  }

  get witness(): Pick<Witness, 'pid' | 'processes'> | null {
    return this.#program?.witness ?? null;
  }

  /** Stops forwarding: the program has ended, and its number may be another process's. */
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
   * Discards the opposite of a stop or of SIGCONT, as the kernel does for every process and so for
   * the witness.
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
    // Without a witness: a terminal sends its signals to the program as well.
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

  /**
   * Clears the witness's signals, of which none may be left when the next one reaches this process.
   */
  #forget(): void {
    if (!this.#isOver && this.#arrivals.length === 0) this.#program?.witness.forget();
  }

  /** Stops this process with the program: a shell notices a stopped job by its own child. */
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
    // It has ended, or runs as another user now, whom the sender could not signal either.
  }
}

function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
