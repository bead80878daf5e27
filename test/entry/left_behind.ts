/** Processes that a command left behind, known by a variable that it was given. */
import { readdirSync, readFileSync } from 'node:fs';

export const markVariable = 'MEMDRIFT_TEST_MARK';

/** Returns the ids of the processes that have the mark in their environment. */
export function processesWith(mark: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => environmentOf(name).includes(`${markVariable}=${mark}\0`))
    .map(Number);
}

/** Returns the guards that watch the process. */
export function guardsOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => textOf(`/proc/${name}/cmdline`).startsWith(`memdrift-guard ${pid}`))
    .map(Number);
}

function environmentOf(name: string): string {
  return textOf(`/proc/${name}/environ`);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
