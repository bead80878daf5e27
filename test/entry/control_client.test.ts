/** Any process of this user may listen where a tracked program would, and answer anything. */
import { createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { askTracked, decodeAnswer } from '../../src/entry/control_client.ts';
import { isMemdriftError } from '../../src/errors.ts';
import { socketPathFor } from '../../src/socket_folder.ts';
import { listenDuringTests } from '../listening.ts';
import { cut, mutated } from '../mutated_messages.ts';
import { randomFrom } from '../random.ts';

const valid = [
  '{"path":"/tmp/a.mdc"}',
  '{"path":null}',
  '{"facts":"{}"}',
  '{"error":"it is tracked already"}',
  '{"error":{"toString":null}}',
  '{"facts":{"length":1e9}}',
  '{"path":17}',
];
const path = socketPathFor(`tracked-${process.pid}-test`);
let answer: (socket: Socket) => void = () => {};
const server = createServer((socket) => {
  socket.on('error', () => {});
  answer(socket);
});
listenDuringTests(server, path);

function expectAnswer({ path, facts, error }: Awaited<ReturnType<typeof decodeAnswer>>): void {
  expect(['string', 'undefined']).toContain(typeof facts);
  expect(['string', 'undefined']).toContain(typeof error);
  expect(path === null || path === undefined || typeof path === 'string').toBe(true);
}

it('takes an answer or refuses it, whatever it is', () => {
  const random = randomFrom(3);
  let refused = 0;
  for (let count = 0; count < 5000; count++) {
    try {
      expectAnswer(decodeAnswer(1, mutated(random, valid).toString()));
    } catch (error) {
      expect(isMemdriftError(error, 'ERR_MALFORMED') ? '' : String(error)).toBe('');
      refused++;
    }
  }
  expect(refused).toBeLessThan(5000);
});

it('says what was wrong with what came from a socket', async () => {
  const random = randomFrom(4);
  const codes = new Set<string>();
  for (let count = 0; count < 300; count++) {
    answer = (socket) => {
      for (const piece of cut(random, mutated(random, valid))) socket.write(piece);
      socket.end();
    };
    try {
      expectAnswer((await askTracked(process.pid, { do: 'stop' })) ?? {});
    } catch (error) {
      codes.add(isMemdriftError(error) ? error.code : `no MemdriftError: ${error}`);
    }
  }
  const known = ['ERR_MALFORMED', 'ERR_STATE', 'ERR_TIMEOUT'];
  expect([...codes].filter((code) => !known.includes(code))).toEqual([]);
  expect(codes).toContain('ERR_MALFORMED');
});

it('does not keep an answer without end', async () => {
  const piece = Buffer.alloc(2 ** 20, 'x');
  answer = (socket) => {
    const pour = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', pour);
    pour();
  };
  await expect(askTracked(process.pid, { do: 'stop' })).rejects.toMatchObject({
    code: 'ERR_MALFORMED',
  });
});
