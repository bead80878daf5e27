/** Why a page is resident: the one list of causes. Each byte has one of them, or is unexplained. */
import type { Exactness } from '../proc/exactness.ts';

/** What each cause is, in a few words; in the order in which equal rows are shown. */
export const causes = {
  'v8-heap': 'JavaScript objects, in V8’s heap',
  'v8-free': 'free room in V8’s heap',
  'v8-code': 'machine code that V8 made',
  'v8-pooled': 'kept by V8 beyond what its heap counts',
  'array-buffers': 'contents of Buffers and ArrayBuffers',
  'wasm-memory': 'memories of WebAssembly',
  'external-strings': 'contents of JavaScript strings outside V8’s heap',
  'malloc-in-use': 'held by native code',
  'malloc-freed': 'freed, kept by malloc between blocks in use',
  'malloc-top': 'freed, kept by malloc at the ends of its arenas',
  'thread-stacks': 'stacks of threads',
  'shared-segment': 'shared memory',
  'file-code': 'the program and its libraries',
  'file-data': 'other mapped files',
  'file-private': 'pages of mapped files that the process wrote to: its own copies',
  memdrift: 'memdrift itself',
  'kernel-special': 'mapped by the kernel (vdso and its kin)',
} as const;

export type Cause = keyof typeof causes;

export const causeNames = Object.keys(causes) as Cause[];

export interface CauseRow {
  readonly cause: Cause;
  /** Resident bytes; null: they are in another row, which `detail` names. */
  readonly bytes: number | null;
  readonly exactness: Exactness;
  readonly detail: string;
}
