/**
 * What the processes of a run say to each other. Main and its children use Node's IPC channel,
 * server and clients a Unix socket with one JSON message per line: small messages only, arrays
 * travel as object ids.
 */

import type { ErrorCode } from '../errors.ts';
import { MemdriftError } from '../errors.ts';
import type { OwnMemory } from './own_memory.ts';
import type { Look } from './report_model.ts';

/** What a child needs to know before it can work; main sends it first. */
export interface ChildSetup {
  readonly type: 'setup';
  readonly role: 'server' | 'client';
  /** The client's number; 0 for the server. */
  readonly index: number;
  readonly clients: number;
  readonly rounds: number;
  readonly arraySizeBytes: number;
  readonly workMs: number;
  readonly trim: boolean;
  readonly sampleIntervalMs: number;
  readonly storeName: string;
  readonly flagName: string;
  readonly socketPath: string;
  /** The folder that this process writes its capture to; null: it writes none. */
  readonly captureDir: string | null;
}

/** Main to a child. `connect`: the server listens. `proceed`: the sampler has had its look. */
export type ToChild =
  | ChildSetup
  | { readonly type: 'connect' }
  | { readonly type: 'status' }
  | { readonly type: 'proceed' }
  | { readonly type: 'finish' }
  | { readonly type: 'abort' };

/** Moments at which the sampler must look, however little budget is left. */
export type Moment = Look['moment'];

/** A child to main. */
export type ToMain =
  | { readonly type: 'listening' }
  | { readonly type: 'holding' }
  | { readonly type: 'moment'; readonly moment: Moment }
  | { readonly type: 'status'; readonly status: ServerStatus }
  | { readonly type: 'memory'; readonly memory: OwnMemory; readonly arraysChecked: number }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'finished'; readonly memory: OwnMemory; readonly arraysChecked: number };

/** How far the server is. */
export interface ServerStatus {
  readonly roundsDone: number;
  readonly arraysInFlight: number;
  /** Rounds done of each client, so that a time-out can name who is behind. */
  readonly roundsByClient: readonly number[];
}

/** Server and client to each other. A client says hello first; then arrays go back and forth. */
export type OnSocket =
  | { readonly type: 'hello'; readonly client: number }
  | { readonly type: 'array'; readonly round: number; readonly id: number }
  | { readonly type: 'done' };

/** The longest message that is accepted: a peer that sends more is not one of ours. */
const maxMessageChars = 4096;

/** Encodes one message as a line. */
export function encodeMessage(message: OnSocket): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * Splits a stream of text into messages; keeps what is incomplete for the next chunk.
 * @throws MemdriftError ERR_MALFORMED for a line that is no message, or is longer than any.
 */
export class MessageDecoder {
  #rest = '';

  push(chunk: string): OnSocket[] {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    // However the stream was cut: also a line that came as a whole.
    const tooLong = [...lines, this.#rest].find((line) => line.length > maxMessageChars);
    if (tooLong !== undefined) throw malformed(tooLong);
    return lines.map(decodeMessage);
  }
}

function decodeMessage(line: string): OnSocket {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed(line);
  }
  if (!isMessage(value)) throw malformed(line);
  return value;
}

function isMessage(value: unknown): value is OnSocket {
  if (typeof value !== 'object' || value === null) return false;
  const message = value as Record<string, unknown>;
  const isCount = (field: unknown) => Number.isSafeInteger(field) && (field as number) >= 0;
  switch (message.type) {
    case 'hello':
      return isCount(message.client);
    case 'array':
      return isCount(message.round) && isCount(message.id);
    case 'done':
      return true;
    default:
      return false;
  }
}

function malformed(line: string): MemdriftError {
  return new MemdriftError(
    'ERR_MALFORMED',
    `the peer sent what is no message of the experiment: ${JSON.stringify(line.slice(0, 80))}`,
  );
}
