/** A connection to a process's inspector, which may be any program's listener until checked. */
import { once } from 'node:events';
import { Agent, type ClientRequest, get, type IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { MemdriftError } from '../errors.ts';
import { type Listener, ownsConnection } from './listeners.ts';

/** Limits for a listener that is not an inspector. */
const listMs = 1000;
const maxListBytes = 64 << 10;
const connectMs = 5000;
/** The facts of a process with 65,530 mappings, the most that it can have, are a tenth of this. */
const maxAnswerBytes = 128 * 2 ** 20;

export interface Inspector {
  readonly pid: number;
  readonly listener: Listener;
  /** Id of the one target that a Node process has. */
  readonly id: string;
}

export interface Evaluation {
  readonly expression: string;
  readonly awaitPromise?: boolean;
  readonly timeoutMs: number;
}

/** Returns the inspector at the listener; null for any other kind of server. */
export async function inspectorAt(pid: number, listener: Listener): Promise<Inspector | null> {
  try {
    const list = JSON.parse(await readList(pid, listener)) as readonly Partial<ListRow>[] | null;
    const { id, webSocketDebuggerUrl } = list?.[0] ?? {};
    const isOne =
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(String(id)) &&
      webSocketDebuggerUrl === `ws://${addressOf(listener)}/${id}`;
    return isOne ? { pid, listener, id: String(id) } : null;
  } catch {
    return null;
  }
}

interface ListRow {
  readonly id: string;
  readonly webSocketDebuggerUrl: string;
}

async function readList(pid: number, listener: Listener): Promise<string> {
  // An agent of our own, so that no proxy of the environment is used.
  const agent = new Agent();
  const signal = AbortSignal.timeout(listMs);
  const url = `http://${addressOf(listener)}/json/list`;
  const request: ClientRequest = get(url, { agent, signal });
  try {
    const [response] = (await once(request, 'response', { signal })) as [IncomingMessage];
    if (!ownsConnection(pid, listener, response.socket.localPort ?? 0)) throw notOwn(pid);
    let text = '';
    for await (const piece of response.setEncoding('utf8')) {
      text += piece;
      if (text.length > maxListBytes) throw new RangeError('an inspector says less');
    }
    return text;
  } finally {
    request.on('error', () => {});
    request.destroy();
    agent.destroy();
  }
}

function notOwn(pid: number): MemdriftError {
  const what = `the listener of process ${pid} belongs to another process now; try again`;
  return new MemdriftError('ERR_STATE', what, { pid });
}

/** A session; `end` it. */
export class InspectorSession {
  readonly #pid: number;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #ended: (reason: Error) => void = () => {};
  readonly #end: Promise<never>;
  #last = 0;
  ourPort = 0;

  private constructor(pid: number, socket: WebSocket) {
    this.#pid = pid;
    this.#socket = socket;
    this.#end = new Promise((_, reject) => {
      this.#ended = reject;
    });
    this.#end.catch(() => {});
    socket.on('upgrade', ({ socket: { localPort } }) => {
      this.ourPort = localPort ?? 0;
    });
    socket.on('error', (error) => this.#ended(error));
    socket.on('close', () => this.#ended(new Error('the connection was closed')));
    socket.on('message', (data) => this.#hear(String(data)));
  }

  /** @throws MemdriftError ERR_TIMEOUT, ERR_STATE (the listener is another process's by now). */
  static async open({ pid, listener, id }: Inspector): Promise<InspectorSession> {
    // Built from the id alone: an address that a listener claims is not followed.
    const socket = new WebSocket(`ws://${addressOf(listener)}/${id}`, {
      perMessageDeflate: false,
      handshakeTimeout: connectMs,
      maxPayload: maxAnswerBytes,
    });
    const session = new InspectorSession(pid, socket);
    try {
      await session.#within(once(socket, 'open'), connectMs);
      if (ownsConnection(pid, listener, session.ourPort)) return session;
      throw notOwn(pid);
    } catch (error) {
      session.end();
      throw error;
    }
  }

  /**
   * Returns the value of the expression, which must be JSON; with `awaitPromise`, the value of its
   * promise. Not always: the promise that V8 makes of a plain value may be collected before the
   * answer.
   * @throws MemdriftError ERR_TIMEOUT, ERR_SYSTEM (what it threw).
   */
  async evaluate({ timeoutMs, ...evaluation }: Evaluation): Promise<unknown> {
    const id = ++this.#last;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const params = { ...evaluation, returnByValue: true };
    this.#socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params }));
    return valueIn(await this.#within(answer, timeoutMs));
  }

  /** Evaluates an expression that may close the inspector, and ends the session. */
  async evaluateLast(evaluation: Evaluation): Promise<void> {
    try {
      await this.evaluate(evaluation);
    } catch {
      // The connection was closed, or the main thread is blocked.
    } finally {
      this.end();
    }
  }

  /** Ends the connection without waiting: with no answer due, see asking.ts. */
  end(): void {
    this.#socket.terminate();
  }

  #hear(text: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(text) as Answer;
    } catch {
      return;
    }
    const id = answer?.id ?? 0;
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }

  async #within<Value>(result: Promise<Value>, timeoutMs: number): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    const lateness = new Error(`waited ${timeoutMs / 1000} s`);
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(lateness), timeoutMs);
    });
    try {
      return await Promise.race([result, late, this.#end]);
    } catch (cause) {
      const what = `the inspector of process ${this.#pid} did not answer`;
      const why = cause === lateness ? ': its main thread is blocked' : '';
      const message = `${what} (${(cause as Error).message})${why}`;
      throw new MemdriftError('ERR_TIMEOUT', message, { pid: this.#pid, cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Answer {
  readonly error?: { readonly message?: string };
  readonly id?: number;
  readonly result?: {
    readonly result?: { readonly value?: unknown };
    readonly exceptionDetails?: {
      readonly text: string;
      readonly exception?: { readonly description?: string };
    };
  };
}

function valueIn({ error, result }: Answer): unknown {
  if (result === undefined) {
    const why = error?.message ?? 'it gave no reason';
    throw new MemdriftError('ERR_SYSTEM', `the inspector refused: ${why}`);
  }
  const { exceptionDetails } = result;
  if (exceptionDetails === undefined) return result.result?.value;
  const text = String(exceptionDetails.exception?.description ?? exceptionDetails.text);
  const [line = text] = text.split('\n');
  throw new MemdriftError('ERR_SYSTEM', line.replace(/^Error: /, ''));
}

function addressOf({ host, port }: Listener): string {
  return host === '::1' ? `[::1]:${port}` : `${host}:${port}`;
}
