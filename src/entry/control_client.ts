/** Asks a program that `memdrift run` started, by its own socket. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { MemdriftError } from '../errors.ts';
import { socketFolder } from '../socket_folder.ts';
import type { ControlAnswer, ControlRequest } from './control_model.ts';

const answerMs = 20_000;

/**
 * What the process answers; null where it has no socket, so that its inspector must be used.
 * @throws MemdriftError ERR_TIMEOUT (its main thread is blocked), ERR_STATE (it refused).
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

async function answerOf(pid: number, socket: Socket): Promise<ControlAnswer> {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (piece) => {
    text += piece;
  });
  try {
    await once(socket, 'end', { signal: AbortSignal.timeout(answerMs) });
    return JSON.parse(text) as ControlAnswer;
  } catch (cause) {
    const why = 'did not answer at its socket: its main thread is blocked, or it has ended';
    throw new MemdriftError('ERR_TIMEOUT', `process ${pid} ${why}`, { pid, cause });
  }
}

/** Connected; a socket that its process left behind is none. */
async function connectTo(pid: number): Promise<Socket | null> {
  const folder = socketFolder();
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`tracked-${pid}-`)) continue;
    const socket = connect(join(folder, name));
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      socket.destroy();
    }
  }
  return null;
}
