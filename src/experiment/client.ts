/**
 * Entry of a client process: it gets an array, checks all of it, works, releases it, and sends a
 * new one back, until the server says that it is done.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemdriftError } from '../errors.ts';
import { type ChildContext, runChild } from './child.ts';
import { Connection } from './connection.ts';
import { checkAndRelease, makeArray } from './transfer.ts';

runChild(async (context) => {
  const client = context.setup.index;
  await context.next('connect');
  const connection = await connectToServer(context);
  connection.send({ type: 'hello', client });
  for (;;) {
    const message = await connection.receive();
    if (message.type === 'done') break;
    if (message.type !== 'array') throw unexpected(message.type);
    const { round, id } = message;
    await checkAndRelease(context, {
      id,
      identity: { client, round, direction: 'to-client' },
      beforeRelease: () => work(context, round),
    });
    const answer = await makeArray(context, { client, round, direction: 'to-server' });
    connection.send({ type: 'array', round, id: answer });
  }
  connection.close();
});

/** The client's work on an array is to hold it; main is told of the first, when all hold one. */
async function work(context: ChildContext, round: number): Promise<void> {
  if (round === 0) context.send({ type: 'holding' });
  if (context.setup.workMs > 0) {
    await sleep(context.setup.workMs, undefined, { signal: context.signal });
  }
}

function connectToServer(context: ChildContext): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect(context.setup.socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new Connection(socket, { peer: 'the server', signal: context.signal }));
    });
  });
}

function unexpected(type: string): MemdriftError {
  return new MemdriftError('ERR_MALFORMED', `the server sent '${type}' where an array was due`);
}
