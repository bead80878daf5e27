/** Whoever connects to a channel's socket, or listens in its place, without being a channel. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Frame, FrameReader, FrameWriter, frameKinds } from '../../src/shm/channel_frames.ts';
import type { Store } from '../../src/shm/store.ts';
import { byteOf, errorWith, makeStore, nextByte, placeOf } from './channels.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

function frame(kind: Frame['kind'], count: number, value: number): Buffer {
  const writer = new FrameWriter();
  writer.add(kind, count, value);
  return writer.take();
}

/** Connects to the receiver, says `bytes`, and has what it answers until it hangs up. */
async function answersTo(store: Store, bytes: Buffer): Promise<Frame[]> {
  const [path] = placeOf(store, 'data').sockets();
  const socket = connect(path ?? '');
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(bytes);
  await once(socket, 'close');
  return [...new FrameReader().read(Buffer.concat(chunks))];
}

describe('a receiver', () => {
  it.each([
    ['text', () => Buffer.from('hello, is this a channel?\r\n\r\n'), 2],
    ['an object before hello', () => frame(frameKinds.object, 0, 1), 2],
    ['another version', () => Buffer.concat([Buffer.from([1, 9]), Buffer.alloc(14)]), 2],
    ['hello to another store', () => frame(frameKinds.hello, 1, 12345), 1],
  ])('refuses who says %s, and goes on with its senders', async (_what, bytes, reason) => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data')];
    const first = from.receive();
    await to.send(byteOf(1));
    (await first)?.release();
    const next = from.receive();
    expect(await answersTo(store, bytes())).toEqual([
      { kind: frameKinds.refused, count: reason, value: 0 },
    ]);
    await to.send(byteOf(2));
    using object = await next;
    expect(object?.bytes[0]).toBe(2);
  });

  it('hears ERR_MALFORMED once of a sender that breaks the rules, and goes on', async () => {
    using store = await makeStore();
    const [to, from] = [store.channel('data'), store.channel('data', { highWaterMark: 3 })];
    const first = from.receive();
    await to.send(byteOf(1));
    (await first)?.release();
    const id = await store.put(byteOf(5));
    const hello = frame(frameKinds.hello, 1, placeOf(store, 'data').key);
    const object = frame(frameKinds.object, 0, id);
    // More than the limit; a second hello; what only a receiver says.
    const broken = [[object, object, object, object], [hello], [frame(frameKinds.taken, 1, 0)]];
    for (const frames of broken) {
      const answers = await answersTo(store, Buffer.concat([hello, ...frames]));
      expect(answers.map(({ kind }) => kind)).toEqual([frameKinds.welcome, frameKinds.refused]);
      if (frames.length > 1) {
        for (let i = 0; i < 3; i++) expect(await nextByte(from)).toBe(5);
      }
      await expect(from.receive()).rejects.toThrow(errorWith('ERR_MALFORMED'));
    }
    await to.send(byteOf(2));
    expect(await nextByte(from)).toBe(2);
    store.delete(id);
    await to.close();
    expect(store.stats().objects).toBe(0);
  });

  it('counts what was said to be sent and is not there', async () => {
    using store = await makeStore();
    const from = store.channel('data');
    const next = from.receive().catch((error: Error) => error);
    const to = store.channel('data');
    await to.send(byteOf(1));
    expect(await next).toMatchObject({ id: expect.any(Number) });
    const hello = frame(frameKinds.hello, 77, placeOf(store, 'data').key);
    const [path] = placeOf(store, 'data').sockets();
    const socket = connect(path ?? '');
    sockets.push(socket);
    const gone = await store.put(byteOf(1));
    store.delete(gone);
    await store.put(byteOf(2));
    socket.end(Buffer.concat([hello, frame(frameKinds.object, 0, gone), frame(5, 0, 0)]));
    await expect(from.receive()).rejects.toMatchObject({
      code: 'ERR_GONE',
      details: { pid: 77, lost: 1 },
    });
  });
});

describe('a sender', () => {
  it.each([
    ['text', Buffer.from('220 mail.example.com ESMTP\r\n\r\n\r\n\r\n')],
    ['another version', Buffer.concat([Buffer.from([2, 9]), Buffer.alloc(14)])],
    ['an object', frame(frameKinds.object, 0, 1)],
    ['a limit of nothing', frame(frameKinds.welcome, 0, 0)],
    ['that it is refused', frame(frameKinds.refused, 1, 0)],
    [
      'that more was taken than was sent',
      Buffer.concat([frame(frameKinds.welcome, 5, 0), frame(frameKinds.taken, 3, 0)]),
    ],
  ])('of which the receiver says %s ends with ERR_MALFORMED', async (_what, bytes) => {
    using store = await makeStore();
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {}).write(bytes);
    });
    server.listen(placeOf(store, 'data').newSocket().path);
    const to = store.channel('data');
    const ended = [1, 2].map((value) => to.send(byteOf(value)).catch((error: Error) => error));
    const errors = [...(await Promise.all(ended)), await to.send(byteOf(1)).catch((e: Error) => e)];
    expect(errors.at(-1)).toMatchObject({ code: 'ERR_MALFORMED', details: { channel: 'data' } });
    server.close();
    await to.close();
    expect(store.stats().objects).toBe(0);
  });
});
