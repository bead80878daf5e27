/**
 * Evaluates JavaScript in a running Node by its inspector, which SIGUSR1 opens and we close again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { answerMs, beginMs } from './asking.ts';
import { isOpen } from './closing.ts';
import { Guard } from './guard_client.ts';
import type { Question } from './guard_model.ts';
import { inspectorAddress, newInspector, openInspector } from './inspector_finder.ts';
import type { Inspector } from './inspector_session.ts';
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
/** A signal counts as lost when another process has held the port for this long. */
const takenMs = 500;
/** How many times to signal: the port may be taken between the check and the signal. */
const mostSignals = 3;

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
    const answer = await evaluateAt(open, question);
    if (answer !== null) return answer.value;
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
  try {
    const { inspector, isOurs } = await opened(target, guard, options);
    return await guard.ask({ do: 'ask', inspector, question, isOurs });
  } catch (error) {
    throw isMemdriftError(error, 'ERR_TIMEOUT') ? blocked(error, guard) : error;
  } finally {
    await guard.end();
  }
}

/**
 * Returns null when the inspector was closed before it was entered: another memdrift command may
 * have opened it.
 */
async function evaluateAt(
  inspector: Inspector,
  question: Question,
): Promise<{ readonly value: unknown } | null> {
  const guard = await Guard.start();
  try {
    return { value: await guard.ask({ do: 'ask', inspector, question, isOurs: false }) };
  } catch (error) {
    if (guard.isEntered || isOpen(inspector)) throw error;
    return null;
  } finally {
    await guard.end();
  }
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
      `waits for it, its main thread and the answer, at most ${openMs / 1000}, ` +
      `${beginMs / 1000} and ${answerMs / 1000} s`,
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

function blocked(error: MemdriftError, guard: Guard): MemdriftError {
  const message =
    `${error.message}; a guard (process ${guard.pid}) closes the inspector as soon as the main ` +
    'thread runs again. Try again then, or start it with memdrift run';
  return new MemdriftError(error.code, message, { ...error.details, cause: error });
}
