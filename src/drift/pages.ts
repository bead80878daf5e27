/** What an explanation says of pages; who was asked, and when, is added by explain(). */
import type { Explanation } from './explain_model.ts';
import type { ResidentIn } from './shares.ts';

export type ExplainedPages = Pick<
  Explanation,
  | 'beside'
  | 'byThread'
  | 'causes'
  | 'malloc'
  | 'mappings'
  | 'otherMappings'
  | 'rssBytes'
  | 'unexplainedBytes'
  | 'v8'
  | 'vmRssBytes'
>;

export interface PagesContext {
  /** The addon's file; its mappings are our own. */
  readonly ownFile: string | null;
  readonly residentIn: ResidentIn;
  /** Whose /proc/PID/mem can be read. */
  readonly pid: number | 'self';
}
