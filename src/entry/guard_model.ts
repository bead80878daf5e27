/** Messages between a command that enters a process and its guard, as lines of JSON. */
import type { ErrorCode } from '../errors.ts';
import type { Inspector } from './inspector_session.ts';
import type { DebugTarget } from './node_proof.ts';

/** The end of the lines without `closed` leaves the rest to the guard. */
export type GuardOrder =
  | {
      readonly do: 'signal';
      readonly target: DebugTarget;
      /** Inodes of the sockets that the process listened on before. */
      readonly known: readonly string[];
    }
  | { readonly do: 'opened'; readonly inspector: Inspector }
  /** The process closes its inspector itself when its loop turns. */
  | { readonly do: 'scheduled' }
  | { readonly do: 'closed' };

export type GuardAnswer =
  | { readonly is: 'ready' | 'signalled' }
  | { readonly is: 'refused'; readonly code: ErrorCode; readonly message: string };
