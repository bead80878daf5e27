/** What /proc says of a process, as far as asking it needs. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A file of /proc; empty where it cannot be read. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** What a link of /proc names; null where it cannot be read. */
export function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** The names in a folder of /proc; empty where it cannot be read. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The mask `field` of the text of a status file; 0 where it is missing. */
export function maskOf(status: string, field: 'SigBlk' | 'SigCgt' | 'SigIgn'): bigint {
  return BigInt(`0x${new RegExp(`^${field}:\\t([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
}

/** Threads with the first argument of the system call that each is in; null: it runs. */
export function systemCallsOf(
  pid: number,
): readonly { readonly thread: number; readonly argument: number | null }[] {
  return namesIn(`/proc/${pid}/task`).map((name) => {
    const [, argument] = textOf(`/proc/${pid}/task/${name}/syscall`).split(' ');
    return { thread: Number(name), argument: argument === undefined ? null : Number(argument) };
  });
}

/**
 * The options that Node was given, by NODE_OPTIONS and by its command line; the script's own
 * arguments are among them, since only Node's list of options tells where the script begins.
 */
export function nodeOptionsOf(pid: number): readonly string[] {
  const [, ...words] = textOf(`/proc/${pid}/cmdline`).split('\0');
  const variable = /(?:^|\0)NODE_OPTIONS=([^\0]*)/.exec(textOf(`/proc/${pid}/environ`))?.[1] ?? '';
  return [...variable.split(/\s+/), ...words];
}

/** Its children now; not every kernel has the file children of a task. */
export function childrenOf(pid: number): readonly string[] {
  return namesIn('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    const stat = textOf(`/proc/${name}/stat`);
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
  });
}
