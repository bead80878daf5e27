/** Messages between a command that enters a process and its guard, as lines of JSON. */
import type { ErrorCode } from '../errors.ts';
import type { Inspector } from './inspector_session.ts';
import type { DebugTarget } from './node_proof.ts';

export interface Question {
  readonly expression: string;
  readonly awaitPromise?: boolean;
}

export interface AskOrder {
  readonly do: 'ask';
  readonly inspector: Inspector;
  readonly question: Question;
  /** The guard's signal opened the inspector, which is to be closed after the answer. */
  readonly isOurs: boolean;
}

/** The end of the lines without `closed` leaves the rest to the guard. */
export type GuardOrder =
  | {
      readonly do: 'signal';
      readonly target: DebugTarget;
      /** Inodes of the sockets that the process listened on before. */
      readonly known: readonly string[];
    }
  | AskOrder
  | { readonly do: 'closed' };

/** `isClosed`: no inspector is open that the guard's signal opened. */
export type GuardAnswer =
  | { readonly is: 'ready' | 'signalled' }
  | { readonly is: 'answered'; readonly value: unknown; readonly isClosed: boolean }
  | {
      readonly is: 'refused';
      readonly code: ErrorCode;
      readonly message: string;
      readonly isClosed: boolean;
      /** The inspector was entered: the expression may have begun. */
      readonly isEntered: boolean;
    };
