/** Ends of a channel that come late, leave early or die: what the other ends get, and when. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Store } from '../../src/shm/store.ts';
import { byteOf, errorWith, makeStore, nextByte } from './channels.ts';
import { freshName, OtherProcess, waiting } from './processes.ts';

const others: OtherProcess[] = [];
afterEach(async () => {
  for (const other of others.splice(0)) await other.kill();
});

/** Runs `code` in a process attached to the store; `c` is its channel 'data'. */
function other(storeName: string, code: string): OtherProcess {
  const made = new OtherProcess(`${waiting}
    const s = await m.Store.open('${storeName}');
    const c = s.channel('data');
    ${code}`);
  others.push(made);
  return made;
}

/** Fails unless `promise` settles within the promised second, plus time for a loaded machine. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const start = performance.now();
  const code = await promise.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );
  expect(performance.now() - start).toBeLessThan(20_000);
  return code;
}

/** Blocks until the process has ended, so that our event loop does not see its sockets end. */
function blockUntilEnd({ child }: OtherProcess): void {
  const isThere = () => !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));
  while (isThere());
}

const send = (store: Store, value: number) => store.channel('data').send(byteOf(value));

// Many processes begin at once: on a loaded machine that alone takes tens of seconds.
describe('a receiver', { timeout: 180_000 }, () => {
  it('receives from senders that come after others have closed', async () => {
    using store = await makeStore();
    const from = store.channel('data');
    for (const value of [1, 2, 3]) {
      using attachment = await Store.open(store.name);
      const to = attachment.channel('data');
      const [received] = await Promise.all([nextByte(from), to.send(byteOf(value))]);
      expect(received).toBe(value);
      await to.close();
    }
  });

  it.each([
    ['channel.close()', 'await c.close(); process.exit();'],
    ['both', 'await c.close(); s.close();'],
  ])('gets one message of each of eight processes that leave by %s', async (_how, leave) => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 8 });
    const values: (number | undefined)[] = [];
    for (let value = 0; value < 8; value++) {
      other(store.name, `await c.send(new Uint8Array(10).fill(${value})); ${leave}`);
    }
    for await (const object of from) {
      values.push(object.bytes[0]);
      object.release();
    }
    expect(values.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    await Promise.all(others.map((one) => one.ended()));
    expect(store.stats().objects).toBe(0);
  });

  it('gets or counts the message of each process that leaves by store.close() alone', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 8 });
    for (let value = 0; value < 8; value++) {
      other(store.name, 'await c.send(new Uint8Array(10)); s.close(); process.exit();');
    }
    let [received, lost] = [0, 0];
    for (;;) {
      try {
        const object = await from.receive();
        if (object === null) break;
        received++;
        object.release();
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_GONE' });
        lost += (error as { details: { lost: number } }).details.lost;
      }
    }
    expect(received + lost).toBe(8);
  });

  it('with `senders` counts one that is killed, and one that had nothing to send', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 3 });
    const silent = store.channel('data');
    const closed = silent.connect().then(() => silent.close());
    const first = from.receive();
    const killed = other(store.name, 'await c.send(new Uint8Array([1])); await go();');
    (await first)?.release();
    await closed;
    const next = codeOf(from.receive());
    await killed.kill();
    expect(await next).toBe('ERR_GONE');
    const to = store.channel('data');
    const last = nextByte(from);
    await to.send(byteOf(3));
    expect(await last).toBe(3);
    const end = from.receive();
    await to.close();
    expect(await end).toBeNull();
  });

  it('gets all and ERR_GONE of a sender that is dead when the first is acknowledged', async () => {
    for (let round = 0; round < 5; round++) {
      using store = await makeStore();
      const from = store.channel('data');
      const sender = other(
        store.name,
        `await c.connect();
         await Promise.all([1, 2, 3].map((value) => c.send(new Uint8Array([value]))));
         await go();`,
      );
      expect(await nextByte(from)).toBe(1);
      sender.child.kill('SIGKILL');
      blockUntilEnd(sender);
      expect([await nextByte(from), await nextByte(from)]).toEqual([2, 3]);
      expect(await codeOf(from.receive({ timeoutMs: 15_000 }))).toBe('ERR_GONE');
    }
  });

  it('with `senders` rejects a further one with ERR_CLOSED', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 1 });
    const [first, late] = [store.channel('data'), store.channel('data')];
    const received = nextByte(from);
    await first.send(byteOf(1));
    expect(await received).toBe(1);
    expect(await codeOf(late.send(byteOf(2)))).toBe('ERR_CLOSED');
    const [last] = await Promise.all([nextByte(from), first.send(byteOf(3))]);
    expect(last).toBe(3);
    await Promise.all([first.close(), nextByte(from).then((end) => expect(end).toBeNull())]);
    expect(await codeOf(send(store, 4))).toBe('ERR_CLOSED');
  });

  it('may follow one that was closed or killed, for senders that begin then', async () => {
    using store = await makeStore();
    for (const value of [1, 2]) {
      const gone = other(
        store.name,
        `await c.receive({ timeoutMs: 1 }).catch(() => {}); console.log('came');
         await go();`,
      );
      expect(await gone.line()).toBe('came');
      const waits = store.channel('data');
      await waits.connect();
      await gone.kill();
      expect(await codeOf(waits.send(byteOf(9)))).toBe('ERR_GONE');
      const from = store.channel('data');
      const received = nextByte(from);
      await send(store, value);
      expect(await received).toBe(value);
      expect(await codeOf(waits.send(byteOf(9)))).toBe('ERR_GONE');
      await from.close();
    }
  });
});

describe('a sender', { timeout: 120_000 }, () => {
  it('gets ERR_CLOSED at every call when the receiver has closed', async () => {
    using store = await makeStore();
    using attachment = await Store.open(store.name);
    const from = attachment.channel('data');
    const received = nextByte(from);
    await send(store, 1);
    await received;
    await from.close();
    for (const one of [store, attachment, store]) {
      expect(await codeOf(send(one, 2))).toBe('ERR_CLOSED');
      expect(await codeOf(one.channel('data').connect())).toBe('ERR_CLOSED');
    }
    attachment.close();
    expect(await codeOf(send(store, 2))).toBe('ERR_CLOSED');
  });

  it.each([
    ['is killed', (receiver: OtherProcess) => receiver.kill(), 'ERR_GONE'],
    ['exits', (receiver: OtherProcess) => receiver.go(), 'ERR_GONE'],
  ])('gets ERR_GONE when the receiver %s, also one that comes later', async (_how, end, code) => {
    using store = await makeStore();
    const receiver = other(
      store.name,
      `(await c.receive()).release(); console.log('one'); await go(); process.exit();`,
    );
    const to = store.channel('data', { highWaterMark: 1 });
    const sending = Array.from({ length: 4 }, (_, value) => to.send(byteOf(value)));
    const ended = sending.map((one) => one.catch((error: Error) => error));
    expect(await receiver.line()).toBe('one');
    await end(receiver);
    expect(await codeOf(sending[3] as Promise<void>)).toBe(code);
    await Promise.all(ended);
    await receiver.ended();
    expect(await codeOf(send(store, 5))).toBe(code);
    using attachment = await Store.open(store.name);
    expect(await codeOf(send(attachment, 5))).toBe(code);
  });

  it('counts as lost what a receiver that closed and exited at once did not receive', async () => {
    for (let round = 0; round < 5; round++) {
      using store = await makeStore();
      const receiver = other(
        store.name,
        `for (let i = 0; i < 2; i++) (await c.receive()).release();
         await c.close(); process.exit();`,
      );
      const to = store.channel('data', { highWaterMark: 100 });
      await to.connect();
      await Promise.all([1, 2, 3, 4].map((value) => to.send(byteOf(value))));
      blockUntilEnd(receiver);
      let sent = 4;
      const sending = async () => {
        for (; ; sent++) {
          await to.send(byteOf(sent));
          await turn();
        }
      };
      const error = await sending().catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: 'ERR_CLOSED', details: { lost: sent - 2 } });
    }
  });

  it.each([
    ['closes it', 'maker.close(); await go();', 'ERR_CLOSED'],
    ['exits', 'process.exit();', 'ERR_GONE'],
    ['is killed', "process.kill(process.pid, 'SIGKILL');", 'ERR_GONE'],
  ])("waiting for a receiver gets an error when the store's maker %s", async (_how, end, code) => {
    const name = freshName('life');
    const maker = new OtherProcess(`${waiting}
      const maker = await m.Store.create({ name: '${name}', capacityBytes: 1e6 });
      console.log('made'); await go(); ${end}`);
    others.push(maker);
    expect(await maker.line()).toBe('made');
    using store = await Store.open(name);
    using attachment = await Store.open(name);
    const waits = send(store, 1).catch((error: { code: string }) => error.code);
    maker.go();
    expect(await waits).toBe(code);
    expect(await codeOf(send(attachment, 2))).toBe(code);
    // The answer is the same whichever end receives.
    const received = nextByte(attachment.channel('data'));
    await send(store, 3);
    expect(await received).toBe(3);
  });

  it('waits for a first receiver while the maker is there', async () => {
    using store = await makeStore();
    const soon = { timeoutMs: 200 };
    using attachment = await Store.open(store.name);
    for (const one of [store, attachment]) {
      await expect(one.channel('data').send(byteOf(1), soon)).rejects.toThrow(
        errorWith('ERR_TIMEOUT'),
      );
      await expect(one.channel('data').connect(soon)).rejects.toThrow(errorWith('ERR_TIMEOUT'));
    }
    const early = send(attachment, 7);
    expect(await nextByte(store.channel('data'))).toBe(7);
    await early;
  });

  it('that leaves by store.close() is not an error for the receiver, which gets all', async () => {
    using store = await makeStore();
    const from = store.channel('data', { senders: 1 });
    const attachment = await Store.open(store.name);
    const to = attachment.channel('data');
    const first = nextByte(from);
    await to.send(byteOf(1));
    expect(await first).toBe(1);
    for (const value of [2, 3]) await to.send(byteOf(value));
    attachment.close();
    expect([await nextByte(from), await nextByte(from), await nextByte(from)]).toEqual([
      2,
      3,
      null,
    ]);
  });
});
