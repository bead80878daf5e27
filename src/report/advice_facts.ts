/** What sentences of advice are made of. */
import type { Cause } from '../drift/causes.ts';
import type { Explanation } from '../drift/explain_model.ts';
import { megabytesWithUnit } from './units.ts';

export interface Advice {
  readonly name: string;
  /** The row that it concerns; null: pages of several rows. */
  readonly cause: Cause | 'unexplained' | null;
  /** What it is about; 0: the facts do not support the sentence. */
  readonly bytes: (explanation: Explanation) => number;
  readonly text: (explanation: Explanation) => string;
}

export function bytesOf({ causes }: Explanation, cause: Cause): number {
  return causes.find((row) => row.cause === cause)?.bytes ?? 0;
}

export const size = (explanation: Explanation, cause: Cause): string =>
  megabytesWithUnit(bytesOf(explanation, cause));

/** `: COMMAND WHAT`, by a command that works for this process; '' where none does. */
export function trackingText({ pid, tracking }: Explanation, what: string, flags = ''): string {
  if (tracking.attach) return `: memdrift attach ${pid}${flags} ${what}`;
  if (tracking.run) return `: memdrift run${flags} ${what} when the program is started again`;
  return '';
}
