/** Reads the texts of /proc that entering a process needs. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Returns the text of a file of /proc; empty where it cannot be read. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Returns the target of a link of /proc; null where it cannot be read. */
export function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** Returns the names in a folder of /proc; empty where it cannot be read. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Returns the mask `field` in the text of a status file; 0 where it is missing. */
export function maskOf(status: string, field: 'ShdPnd' | 'SigBlk' | 'SigCgt' | 'SigIgn'): bigint {
  return BigInt(`0x${new RegExp(`^${field}:\\t([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
}

/** Returns whether the process has not yet been delivered a signal that was sent to it. */
export function hasPending(status: string, signal: number): boolean {
  return (maskOf(status, 'ShdPnd') & (1n << BigInt(signal - 1))) !== 0n;
}

/** Returns whether the process is stopped, by a signal or a debugger. */
export function isStopped(status: string): boolean {
  return /^State:\t[Tt]/m.test(status);
}

/** Returns the threads, each with the first argument of its system call; null while it runs. */
export function systemCallsOf(
  pid: number,
): readonly { readonly thread: number; readonly argument: number | null }[] {
  return namesIn(`/proc/${pid}/task`).map((name) => {
    const [, argument] = textOf(`/proc/${pid}/task/${name}/syscall`).split(' ');
    return { thread: Number(name), argument: argument === undefined ? null : Number(argument) };
  });
}

/**
 * Returns the options of Node, from NODE_OPTIONS and the command line. The script's own arguments
 * are among them, since only Node's list of options tells where the script begins.
 */
export function nodeOptionsOf(pid: number): readonly string[] {
  const [, ...words] = textOf(`/proc/${pid}/cmdline`).split('\0');
  const variable = /(?:^|\0)NODE_OPTIONS=([^\0]*)/.exec(textOf(`/proc/${pid}/environ`))?.[1] ?? '';
  return [...variable.split(/\s+/), ...words];
}

/** Returns the children of the process now. Not every kernel has a task's `children` file. */
export function childrenOf(pid: number): readonly string[] {
  return namesIn('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    const stat = textOf(`/proc/${name}/stat`);
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
  });
}
