/** The part of the boundary that starts programs; the rest is in door.ts. */

/** A process that has pending what was sent to more processes than the launcher. */
export interface NativeWitness {
  readonly pid: number;
  /** The descriptor of the pipe that it ends with. */
  readonly end: number;
}

/** native/door/launch_door.cc */
export interface LaunchBinding {
  /** Makes this process the program; returns errno if it could not. Variables are `NAME=value`. */
  launchBecome(file: string, argv: readonly string[], environment: readonly string[]): number;
  /** @throws MemdriftError where /bin/sh is missing. */
  launchWitness(program: number, signals: readonly number[]): NativeWitness;
  launchEndWitness(pid: number, end: number): void;
  /** Returns where the signal does not end this process, as in process 1 of a container. */
  launchEndBySignal(signal: number): void;
}
