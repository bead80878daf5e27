/** The part of the boundary that starts programs; the rest is in door.ts. */

/** A process in which signals stay pending that more processes than the launcher got. */
export interface NativeWitness {
  readonly pid: number;
  /** Descriptor of the pipe whose end ends the process. */
  readonly end: number;
}

/** native/door/launch_door.cc */
export interface LaunchBinding {
  /** Makes this process the program; returns errno on failure. Variables are `NAME=value`. */
  launchBecome(file: string, argv: readonly string[], environment: readonly string[]): number;
  /** Starts a witness beside `program`. @throws MemdriftError where /bin/sh is missing. */
  launchWitness(program: number, signals: readonly number[]): NativeWitness;
  launchEndWitness(pid: number, end: number): void;
  /**
   * Ends this process by the signal; returns where that has no effect, as in process 1 of a
   * container.
   */
  launchEndBySignal(signal: number): void;
}
