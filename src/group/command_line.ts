import { readFileSync } from 'node:fs';
import { maskedArguments } from '../secrets.ts';

const mostCommandCharacters = 4096;

/**
 * Returns the masked arguments of a process, separated by spaces; null when it has none or is gone.
 */
export function commandOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').slice(0, mostCommandCharacters);
    const command = maskedArguments(text.replace(/\0+$/, '').split('\0')).join(' ');
    return command === '' ? null : command;
  } catch {
    return null;
  }
}
