/** What is asked and answered at the socket of a program that `memdrift run` started. */

export interface ControlRequest {
  /** `ping` is answered by nothing but an answer: the main thread is not blocked. */
  readonly do: 'start' | 'stop' | 'explain' | 'ping';
  readonly path?: string;
  /** Of explain(): see its options. */
  readonly deep?: boolean;
  /** Of the tracker. */
  readonly options?: object;
}

export interface ControlAnswer {
  readonly path?: string | null;
  /** What explain() needs, as JSON. */
  readonly facts?: string;
  readonly error?: string;
}
