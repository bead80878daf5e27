/** A running Node's inspector, opened by SIGUSR1 and closed again, for one piece of JavaScript. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { MemdriftError } from '../errors.ts';
import { portsOf } from './target.ts';

/** How long a process may take to open its inspector: its main thread may be in a native call. */
const openMs = 5000;
/** How long to wait for a new inspector before looking for one that was open already. */
const openAlreadyMs = 1000;
const answerMs = 20_000;
/** How long it may take to close it: its loop must turn once. */
const closeMs = 5000;

/**
 * Evaluates `expression` in the process and gives its value, which must be JSON; with
 * `awaitPromise` what its promise comes to. Only then: the promise that V8 makes of a plain value
 * may be collected before it is answered. The inspector that was not open before is closed after.
 * @throws MemdriftError ERR_TIMEOUT (it did not open or answer), ERR_SYSTEM (what it threw).
 */
export async function evaluateIn(
  pid: number,
  expression: string,
  { awaitPromise = false } = {},
): Promise<unknown> {
  const before = portsOf(pid);
  process.kill(pid, 'SIGUSR1');
  const { url, isOurs } = await findInspector(pid, before);
  const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: openMs });
  try {
    await once(socket, 'open', { signal: AbortSignal.timeout(openMs) });
    return await send(socket, 1, { expression, awaitPromise });
  } catch (cause) {
    if (!['AbortError', 'TimeoutError'].includes((cause as Error).name)) throw cause;
    throw noAnswer(pid, 'its inspector did not answer', cause);
  } finally {
    if (isOurs) await closeInspector(socket);
    socket.terminate();
    // The next one who asks must not meet an inspector that is about to close.
    const deadline = performance.now() + closeMs;
    while (isOurs && performance.now() < deadline && !isClosed(pid, before)) await sleep(20);
  }
}

function isClosed(pid: number, before: readonly number[]): boolean {
  try {
    return portsOf(pid).every((port) => before.includes(port));
  } catch {
    return true; // with the process
  }
}

/**
 * Closes the inspector once this connection is gone; from within it would wait for itself. Not
 * before the loop has polled once: where the signal met a busy main thread Node has opened the
 * inspector by an interrupt, and would open it again when the loop tells of the signal.
 */
const closing = `(() => {
  const get = process.getBuiltinModule ?? process.mainModule?.require.bind(process.mainModule);
  setTimeout(() => setImmediate(() => get?.('inspector').close()), 100);
})()`;

/** The process goes on with an open inspector only if it does not answer any more. */
async function closeInspector(socket: WebSocket): Promise<void> {
  if (socket.readyState !== WebSocket.OPEN) return;
  await send(socket, 2, { expression: closing }).catch(() => {});
}

async function send(
  socket: WebSocket,
  id: number,
  evaluation: { readonly expression: string; readonly awaitPromise?: boolean },
): Promise<unknown> {
  const params = { ...evaluation, returnByValue: true };
  socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params }));
  for (;;) {
    const [data] = await once(socket, 'message', { signal: AbortSignal.timeout(answerMs) });
    const message = JSON.parse(String(data)) as Answer;
    if (message.id !== id) continue;
    if (message.result === undefined) {
      const why = message.error?.message ?? 'no reason was given';
      throw new MemdriftError('ERR_SYSTEM', `the inspector refused: ${why}`);
    }
    const { exceptionDetails, result } = message.result;
    if (exceptionDetails === undefined) return result?.value;
    const text = exceptionDetails.exception?.description ?? exceptionDetails.text;
    throw new MemdriftError('ERR_SYSTEM', text.split('\n')[0] ?? text);
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

/**
 * The listener must be the process's own: somebody else may have the usual port. Those that it had
 * before are asked only when no new one comes, for most are the program's own servers.
 */
async function findInspector(
  pid: number,
  before: readonly number[],
): Promise<{ url: string; isOurs: boolean }> {
  const deadline = performance.now() + openMs;
  let unasked = before;
  while (performance.now() < deadline) {
    const fresh = portsOf(pid).filter((port) => !before.includes(port));
    const isLate = deadline - performance.now() < openMs - openAlreadyMs;
    for (const port of isLate ? [...fresh, ...unasked] : fresh) {
      const url = await inspectorAt(port);
      if (url !== null) return { url, isOurs: fresh.includes(port) };
    }
    if (isLate) unasked = [];
    await sleep(20);
  }
  throw noAnswer(pid, 'no inspector opened', null);
}

async function inspectorAt(port: number): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(1000);
    const response = await fetch(`http://127.0.0.1:${port}/json/list`, { signal });
    const [target] = (await response.json()) as { webSocketDebuggerUrl?: string }[];
    return target?.webSocketDebuggerUrl ?? null;
  } catch {
    return null;
  }
}

function noAnswer(pid: number, what: string, cause: unknown): MemdriftError {
  return new MemdriftError(
    'ERR_TIMEOUT',
    `process ${pid} did not answer SIGUSR1 (${what}): its main thread is blocked, or it handles ` +
      'the signal itself; try again, or start it with memdrift run',
    { pid, cause },
  );
}
