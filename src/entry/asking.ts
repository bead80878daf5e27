/**
 * Asks a process's inspector a question. Only the guard does, since no Ctrl-C and no SIGKILL of the
 * command reaches it: a Node without nodejs/node#64209 may crash when a connection ends at the
 * moment of an answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MemdriftError } from '../errors.ts';
import { closeAtOnce, closeMs, isOpen, isUsed, scheduleClosing } from './closing.ts';
import type { Question } from './guard_model.ts';
import type { Inspector, InspectorSession } from './inspector_session.ts';

/** How long to wait for the main thread to run JavaScript, and for its answer after that. */
export const beginMs = 20_000;
export const answerMs = 60_000;
/** How long the event loop may take to turn before an interrupt closes the inspector. */
const turnsMs = 1000;
/** How long our own connections may stay in the kernel's list. */
const staleMs = 200;

/**
 * Evaluates the question in the process. An expression must not begin after we have given up, or
 * after the command has ended.
 * @throws MemdriftError ERR_TIMEOUT, ERR_STATE (the command has ended), ERR_SYSTEM (what the
 * expression threw).
 */
export async function ask(
  session: InspectorSession,
  { expression, awaitPromise }: Question,
  isWanted: () => boolean,
): Promise<unknown> {
  await session.evaluate({ expression: '1', timeoutMs: beginMs });
  if (!isWanted()) throw new MemdriftError('ERR_STATE', 'the command has ended');
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

/**
 * Ends the session and has the process close its inspector. `scheduled` is called when the process
 * has taken that order. Returns true when the inspector is closed for good; otherwise it is to be
 * closed when Node opens it again, or the process closes it once a debugger has left.
 */
export async function closed(
  session: InspectorSession,
  inspector: Inspector,
  scheduled: () => void,
): Promise<boolean> {
  if (!(await scheduleClosing(session, inspector, closeMs))) return false;
  scheduled();
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
