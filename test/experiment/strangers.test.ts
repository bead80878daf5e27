/** Any process of this user can connect to the socket of a run. */
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { socketFolder } from '../../src/socket_folder.ts';
import { cut, mutated } from '../mutated_messages.ts';
import { randomFrom } from '../random.ts';
import { eventually, launch, segmentsOfRun, smallRun } from './launch.ts';

const valid = ['{"type":"hello","client":104}', '{"type":"array","round":2,"id":7}'];

/** Resolves when the other end has hung up, or has had all. */
function say(path: string, pieces: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', () => {}).on('close', () => resolve());
    for (const piece of pieces) socket.write(piece);
    // Said and gone: the server may wait for more.
    socket.end(() => socket.destroy());
  });
}

it('a run comes to its end whatever strangers say', { timeout: 120_000 }, async () => {
  const { child, ended } = launch([...smallRun, '--rounds=300', '--work-ms=10']);
  const main = child.pid ?? 0;
  const file = await eventually('the store', () =>
    segmentsOfRun(main).find((name) => !name.endsWith('.flag')),
  );
  const store = await Store.open(file.replace(/^memdrift\./, ''), { readOnly: true });
  // By then every client has said who it is.
  await eventually('arrays in the store', () => store.stats().puts > 100);
  store.close();
  const socket = await eventually('the socket', () =>
    readdirSync(socketFolder()).find((name) => name.startsWith(`run-${main}-`)),
  );
  const random = randomFrom(7);
  for (let count = 0; count < 200; count++) {
    await say(join(socketFolder(), socket), cut(random, mutated(random, valid)));
  }
  const { code, report } = await ended;
  expect(report?.error).toBeNull();
  expect(code).toBe(0);
  expect(report?.arraysChecked).toBe(2 * 3 * 300);
});
