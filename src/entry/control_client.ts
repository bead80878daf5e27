/** Asks a program that `memdrift run` started, by its own socket. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { socketFolder } from '../socket_folder.ts';
import type { ControlAnswer, ControlRequest } from './control_model.ts';

const answerMs = 20_000;
/** The facts of a process with 65,530 mappings, the most that it can have, are a tenth of this. */
const maxAnswerChars = 128 * 2 ** 20;

/**
 * What the process answers; null where it has no socket, so that its inspector must be used.
 * @throws MemdriftError ERR_TIMEOUT (its main thread is blocked), ERR_STATE (it refused),
 * ERR_MALFORMED (what it sent is no answer).
 */
export async function askTracked(
  pid: number,
  request: ControlRequest,
): Promise<ControlAnswer | null> {
  const socket = await connectTo(pid);
  if (socket === null) return null;
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    const answer = await answerOf(pid, socket);
    if (answer.error === undefined) return answer;
    throw new MemdriftError('ERR_STATE', `process ${pid}: ${answer.error}`, { pid });
  } finally {
    socket.destroy();
  }
}

/**
 * Returns whether the process answers at its socket within `waitMs`; false: its main thread is
 * busy. Null: it has no socket.
 */
export async function answersWithin(pid: number, waitMs: number): Promise<boolean | null> {
  const socket = await connectTo(pid);
  if (socket === null) return null;
  try {
    socket.write(`${JSON.stringify({ do: 'ping' } satisfies ControlRequest)}\n`);
    // An older memdrift answers too, that it does not understand.
    await once(socket, 'data', { signal: AbortSignal.timeout(waitMs) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function answerOf(pid: number, socket: Socket): Promise<ControlAnswer> {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (piece) => {
    text += piece;
    if (text.length > maxAnswerChars) socket.destroy(malformed(pid, text));
  });
  try {
    await once(socket, 'end', { signal: AbortSignal.timeout(answerMs) });
  } catch (cause) {
    if (isMemdriftError(cause)) throw cause;
    throw noAnswer(pid, cause);
  }
  if (text === '') throw noAnswer(pid);
  return decodeAnswer(pid, text);
}

/** @throws MemdriftError ERR_MALFORMED for what is no answer: any process may have the socket. */
export function decodeAnswer(pid: number, text: string): ControlAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw malformed(pid, text);
  }
  if (!isAnswer(answer)) throw malformed(pid, text);
  return answer;
}

function isAnswer(value: unknown): value is ControlAnswer {
  if (typeof value !== 'object' || value === null) return false;
  const { path, facts, error } = value as Record<string, unknown>;
  const isText = (field: unknown) => field === undefined || typeof field === 'string';
  return (path === null || isText(path)) && isText(facts) && isText(error);
}

function malformed(pid: number, text: string): MemdriftError {
  return new MemdriftError(
    'ERR_MALFORMED',
    `process ${pid} sent what is no answer at its socket: ${JSON.stringify(text.slice(0, 80))}`,
    { pid },
  );
}

function noAnswer(pid: number, cause?: unknown): MemdriftError {
  const why = 'did not answer at its socket: its main thread is blocked, or it has ended';
  return new MemdriftError('ERR_TIMEOUT', `process ${pid} ${why}`, { pid, cause });
}

/** Connected; a socket that its process left behind is none. */
async function connectTo(pid: number): Promise<Socket | null> {
  for (const path of socketsOf(pid)) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      socket.destroy();
    }
  }
  return null;
}

/** Returns none where others can enter the folder too: a socket in it proves nothing. */
function socketsOf(pid: number): readonly string[] {
  try {
    const folder = socketFolder();
    const names = readdirSync(folder).filter((name) => name.startsWith(`tracked-${pid}-`));
    return names.map((name) => join(folder, name));
  } catch {
    return [];
  }
}
