/** What a peer may send that is not one of ours: any process of this user can connect. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { describe, expect, it } from 'vitest';
import { isMemdriftError } from '../../src/errors.ts';
import { Connection } from '../../src/experiment/connection.ts';
import { encodeMessage, MessageDecoder, type OnSocket } from '../../src/experiment/messages.ts';
import { socketPathFor } from '../../src/socket_folder.ts';
import { listenDuringTests } from '../listening.ts';
import { cut, mutated } from '../mutated_messages.ts';
import { randomFrom } from '../random.ts';

const valid = [
  '{"type":"hello","client":104}',
  '{"type":"array","round":2,"id":1099511627783}',
  '{"type":"done"}',
  `{"type":"done"${' '.repeat(5000)}}`,
  '{"type":"hello","client":7,"__proto__":{"round":1}}',
];

function expectMessage(message: OnSocket): void {
  expect(['hello', 'array', 'done']).toContain(message.type);
  if (message.type === 'hello') expect(message.client).toBeGreaterThanOrEqual(0);
  if (message.type === 'array') {
    expect(Number.isSafeInteger(message.round) && Number.isSafeInteger(message.id)).toBe(true);
  }
}

/** The messages in these pieces, or null where they are refused. */
function decoded(pieces: readonly Buffer[]): readonly OnSocket[] | null {
  const text = new StringDecoder('utf8');
  const decoder = new MessageDecoder();
  try {
    return pieces.flatMap((piece) => decoder.push(text.write(piece)));
  } catch (error) {
    expect(isMemdriftError(error, 'ERR_MALFORMED')).toBe(true);
    return null;
  }
}

it('reads or refuses any bytes, and the same however they are cut', () => {
  const random = randomFrom(1);
  let refused = 0;
  for (let count = 0; count < 5000; count++) {
    const bytes = mutated(random, valid);
    const whole = decoded([bytes]);
    expect(decoded(cut(random, bytes)), bytes.toString('latin1').slice(0, 300)).toEqual(whole);
    whole?.forEach(expectMessage);
    refused += whole === null ? 1 : 0;
  }
  expect(refused).toBeGreaterThan(1000);
  expect(refused).toBeLessThan(4500);
  expect(({} as { type?: unknown }).type).toBeUndefined();
});

describe('a connection', () => {
  const path = socketPathFor(`test-connection-${process.pid}`);
  const arrivals: ((socket: Socket) => void)[] = [];
  const server: Server = createServer((socket) => arrivals.shift()?.(socket));
  listenDuringTests(server, path);

  async function connected(): Promise<{ peer: Socket; connection: Connection }> {
    const arrival = new Promise<Socket>((resolve) => arrivals.push(resolve));
    const peer = connect(path);
    peer.on('error', () => {});
    const { signal } = new AbortController();
    return { peer, connection: new Connection(await arrival, { peer: 'a stranger', signal }) };
  }

  it('gives messages and then an error that says what was wrong, whatever is sent', async () => {
    const random = randomFrom(2);
    for (let count = 0; count < 300; count++) {
      const { peer, connection } = await connected();
      for (const piece of cut(random, mutated(random, valid))) peer.write(piece);
      if (random(4) === 0) peer.destroy();
      else peer.end();
      let end: unknown = null;
      while (end === null) {
        try {
          expectMessage(await connection.receive());
        } catch (error) {
          end = error;
        }
      }
      const code = isMemdriftError(end) ? end.code : `no MemdriftError: ${end}`;
      expect(['ERR_MALFORMED', 'ERR_GONE']).toContain(code);
    }
  });

  it('ends with a peer that sends on and on what nobody waits for', async () => {
    const { peer, connection } = await connected();
    const flood = encodeMessage({ type: 'array', round: 1, id: 1 }).repeat(100);
    const closed = new Promise<void>((resolve) => peer.once('close', () => resolve()));
    const pour = (): void => {
      while (!peer.destroyed && peer.write(flood));
    };
    peer.on('drain', pour);
    pour();
    await closed;
    const received: OnSocket[] = [];
    const readAll = async (): Promise<void> => {
      for (;;) received.push(await connection.receive());
    };
    await expect(readAll()).rejects.toMatchObject({ code: 'ERR_MALFORMED' });
    expect(received.length).toBeLessThanOrEqual(16);
  });
});
