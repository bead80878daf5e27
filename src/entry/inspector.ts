/**
 * Evaluates JavaScript in a running Node by its inspector, which SIGUSR1 opens and we close again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { closeAtOnce, isOpen, isUsed, scheduleClosing } from './closing.ts';
import { Guard } from './guard_client.ts';
import { inspectorAddress, newInspector, openInspector } from './inspector_finder.ts';
import { type Inspector, InspectorSession } from './inspector_session.ts';
import { listenersOf, portHolder } from './listeners.ts';
import type { DebugTarget } from './node_proof.ts';
import { turnAt } from './port_turn.ts';
import { type EntryOptions, provenTarget } from './target.ts';

/** How long a process may take to open its inspector: its main thread may be in a native call. */
const openMs = 5000;
/** How long to wait for other memdrift commands at the same port. */
const turnMs = 10_000;
/** How long to wait for another program that holds the port. */
const portMs = 5000;
/** How long to wait for the main thread to run JavaScript, and for its answer after that. */
const beginMs = 20_000;
const answerMs = 60_000;
/** How long the event loop may take to turn before an interrupt closes the inspector. */
const turnsMs = 1000;
const closeMs = 5000;
/** How long our own connections may stay in the kernel's list. */
const staleMs = 200;
/** A signal counts as lost when another process has held the port for this long. */
const takenMs = 500;
/** How many times to signal: the port may be taken between the check and the signal. */
const mostSignals = 3;

export interface Question {
  readonly expression: string;
  readonly awaitPromise?: boolean;
}

/**
 * Evaluates the expression in the process; its value must be JSON. An inspector that was open is
 * used and stays; otherwise a signal opens one, which is closed again even when this process is
 * killed.
 * @throws MemdriftError ERR_UNSUPPORTED, ERR_DENIED (it is not to be signalled), ERR_BUSY (the port
 * is taken), ERR_TIMEOUT (its main thread is blocked), ERR_SYSTEM (what the expression threw).
 */
export async function evaluateIn(
  pid: number,
  question: Question,
  options: EntryOptions,
): Promise<unknown> {
  const open = await openInspector(pid);
  if (open !== null) {
    const session = await sessionOf(open);
    if (session !== null) return ask(session, question).finally(() => session.end());
  }
  const target = provenTarget(pid, options);
  const { port } = inspectorAddress(pid);
  const endTurn = port === 0 ? () => {} : await turnAt(port, turnMs);
  try {
    return await evaluateBySignal(target, question, options);
  } finally {
    endTurn();
  }
}

async function evaluateBySignal(
  target: DebugTarget,
  question: Question,
  options: EntryOptions,
): Promise<unknown> {
  await portIsFree(target.identity.pid);
  const guard = await Guard.start();
  // True when no inspector is open that our signal opened.
  let isClosed = false;
  try {
    const { inspector, isOurs } = await opened(target, guard, options);
    isClosed = !isOurs;
    if (isOurs) guard.tell({ do: 'opened', inspector });
    const session = await InspectorSession.open(inspector);
    try {
      return await ask(session, question);
    } finally {
      if (isOurs) isClosed = await closed(session, inspector, guard);
      else session.end();
    }
  } catch (error) {
    throw isMemdriftError(error, 'ERR_TIMEOUT') ? blocked(error, guard) : error;
  } finally {
    if (isClosed) await guard.finish();
    else guard.leave();
  }
}

/** Returns null when another memdrift command closed it meanwhile. */
async function sessionOf(inspector: Inspector): Promise<InspectorSession | null> {
  try {
    return await InspectorSession.open(inspector);
  } catch {
    return null;
  }
}

/** An expression that would begin only after we have given up must not begin. */
async function ask(
  session: InspectorSession,
  { expression, awaitPromise }: Question,
): Promise<unknown> {
  await session.evaluate({ expression: '1', timeoutMs: beginMs });
  const latest = Date.now() + beginMs;
  return session.evaluate({
    expression: `(() => {
      if (Date.now() > ${latest}) throw new Error('asked too long ago');
      return (${expression});
    })()`,
    awaitPromise: awaitPromise === true,
    timeoutMs: answerMs,
  });
}

async function opened(
  target: DebugTarget,
  guard: Guard,
  { onNotice }: EntryOptions,
): Promise<{ readonly inspector: Inspector; readonly isOurs: boolean }> {
  const { pid, name } = target.identity;
  onNotice?.(
    `sends SIGUSR1 to process ${pid} (${JSON.stringify(name)}): Node opens its inspector on ` +
      'loopback for about a second, and says so on its stderr ("Debugger listening on …"); ' +
      `waits ${openMs / 1000} s for it, ${beginMs / 1000} s for its main thread, and ` +
      `${answerMs / 1000} s for the answer`,
  );
  const known = listenersOf(pid).map(({ inode }) => inode);
  for (let signals = 0; signals < mostSignals; signals++) {
    await portIsFree(pid);
    await guard.signal({ do: 'signal', target, known });
    const inspector = await appeared(pid, known);
    if (inspector !== null) return { inspector, isOurs: true };
    // The program itself may have opened the inspector meanwhile.
    const open = await openInspector(pid);
    if (open !== null) return { inspector: open, isOurs: false };
    if (holderOf(pid) === null) break;
  }
  const what = `process ${pid} opened no inspector within ${openMs / 1000} s of SIGUSR1`;
  const more = target.isForced ? ', or the signal went to a listener of its own' : '';
  throw new MemdriftError('ERR_TIMEOUT', `${what}: its main thread is blocked${more}`, { pid });
}

/** Returns null when it did not open, or when another process took its port first. */
async function appeared(pid: number, known: readonly string[]): Promise<Inspector | null> {
  const deadline = performance.now() + openMs;
  let taken = Number.POSITIVE_INFINITY;
  while (performance.now() < Math.min(deadline, taken + takenMs)) {
    const inspector = await newInspector(pid, known);
    if (inspector !== null) return inspector;
    if (holderOf(pid) === null) taken = Number.POSITIVE_INFINITY;
    else taken = Math.min(taken, performance.now());
    await sleep(20);
  }
  return null;
}

/**
 * Returns the process that holds the port where `pid` opens its inspector; null when it is free or
 * any port will do.
 */
function holderOf(pid: number): string | null {
  const { port } = inspectorAddress(pid);
  return port === 0 ? null : portHolder(pid, port);
}

/**
 * Waits until the port is free where the process opens its inspector: otherwise Node reports a
 * failure on the process's stderr and opens none.
 * @throws MemdriftError ERR_BUSY.
 */
async function portIsFree(pid: number): Promise<void> {
  const deadline = performance.now() + portMs;
  for (let holder = holderOf(pid); holder !== null; holder = holderOf(pid)) {
    if (performance.now() > deadline) {
      throw new MemdriftError(
        'ERR_BUSY',
        `process ${pid} cannot open its inspector: ${holder} listens on its port, ` +
          `${inspectorAddress(pid).port}; end that, or start process ${pid} with ` +
          '--inspect-port=0 or with memdrift run',
        { pid },
      );
    }
    await sleep(50);
  }
}

/**
 * Returns true when it is closed for good. Otherwise the guard closes it, now or when Node opens it
 * again, or the process does once a debugger has left.
 */
async function closed(
  session: InspectorSession,
  inspector: Inspector,
  guard: Guard,
): Promise<boolean> {
  if (!(await scheduleClosing(session, inspector, closeMs))) return false;
  guard.tell({ do: 'scheduled' });
  // The next command must not meet an inspector that will close at once.
  if (await closes(inspector, turnsMs)) return true;
  if (isUsed(inspector)) return false;
  await closeAtOnce(inspector);
  await closes(inspector, closeMs);
  // The event loop has not handled the signal yet.
  return false;
}

async function closes(inspector: Inspector, timeoutMs: number): Promise<boolean> {
  const begin = performance.now();
  while (isOpen(inspector)) {
    const passedMs = performance.now() - begin;
    if (passedMs > timeoutMs || (passedMs > staleMs && isUsed(inspector))) return false;
    await sleep(20);
  }
  return true;
}

function blocked(error: MemdriftError, guard: Guard): MemdriftError {
  const message =
    `${error.message}; a guard (process ${guard.pid}) closes the inspector as soon as the main ` +
    'thread runs again. Try again then, or start it with memdrift run';
  return new MemdriftError(error.code, message, { ...error.details, cause: error });
}
