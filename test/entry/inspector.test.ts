/** Entering a process by its inspector: other users of its port, and when it is closed again. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { evaluateIn } from '../../src/entry/inspector.ts';
import { newInspector } from '../../src/entry/inspector_finder.ts';
import {
  type Inspector,
  InspectorSession,
  inspectorAt,
} from '../../src/entry/inspector_session.ts';
import { type Listener, listenersOf } from '../../src/entry/listeners.ts';
import { type Child, Children } from '../children.ts';
import { guardsOf } from './left_behind.ts';

const children = new Children();
const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  await children.endAll();
});

const allowed = { yesOpenInspector: true };
const answers = "process.stdin.on('data', () => console.log('goes on'));";
const sum = { expression: '40 + 2' };

/** Starts a Node whose inspector takes any port, unless one is given. */
function node(script: string, port = 0): Promise<Child> {
  const ready = `${answers} ${script} console.log('ready'); setInterval(() => {}, 1000);`;
  return children.run(process.execPath, [`--inspect-port=${port}`, '-e', ready]);
}

async function listen(onConnection: (socket: Socket) => void = () => {}): Promise<Listener> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return listenersOf(process.pid).find((one) => one.port === port) as Listener;
}

/** Waits until we have left the process: no listener except `before`, and no guard. */
async function expectLeftAlone(child: Child, before = 0): Promise<void> {
  const options = { timeout: 20_000, interval: 50 };
  await expect.poll(() => listenersOf(child.pid).length, options).toBe(before);
  await expect.poll(() => guardsOf(child.pid), options).toEqual([]);
  expect(await child.ask('still there?')).toBe('goes on');
}

describe('evaluateIn', () => {
  test('says before the signal what will happen, and leaves nothing behind', async () => {
    const child = await node('');
    const notices: string[] = [];
    const onNotice = (text: string): unknown => notices.push(text);
    expect(await evaluateIn(child.pid, sum, { ...allowed, onNotice })).toBe(42);
    expect(notices).toEqual([
      expect.stringMatching(/^sends SIGUSR1 to process \d+ .*stderr \("Debugger listening on/),
    ]);
    expect(listenersOf(child.pid)).toEqual([]);
    expect(guardsOf(child.pid)).toEqual([]);
    await expectLeftAlone(child);
  });

  test('closes the inspector after an expression that throws', async () => {
    const child = await node('');
    const throws = evaluateIn(child.pid, { expression: 'nowhere.at.all' }, allowed);
    await expect(throws).rejects.toMatchObject({ code: 'ERR_SYSTEM' });
    await expectLeftAlone(child);
  });

  test('sends no signal when the inspector is open already, on any port', async () => {
    const child = await node("require('node:inspector').open(0, '127.0.0.1');");
    const notices: string[] = [];
    const onNotice = (text: string): unknown => notices.push(text);
    expect(await evaluateIn(child.pid, sum, { ...allowed, onNotice })).toBe(42);
    expect(notices).toEqual([]);
    await expectLeftAlone(child, 1);
  });

  test("sends no request to the program's servers", async () => {
    const child = await node(`let asked = 0;
      for (const host of ['127.0.0.1', '0.0.0.0', '::1'])
        require('node:net').createServer(() => asked++).on('error', () => {}).listen(0, host);
      globalThis.askedServers = () => asked;`);
    await expect.poll(() => listenersOf(child.pid).length).toBeGreaterThan(1);
    const before = listenersOf(child.pid).length;
    const question = { expression: 'askedServers()' };
    for (let i = 0; i < 2; i++) expect(await evaluateIn(child.pid, question, allowed)).toBe(0);
    await expectLeftAlone(child, before);
  });

  test('keeps a debugger that connects meanwhile, and closes after it', async () => {
    const child = await node('');
    const slow = { expression: 'new Promise((r) => setTimeout(() => r(42), 2000))' };
    const value = evaluateIn(child.pid, { ...slow, awaitPromise: true }, allowed);
    let found: Inspector | null = null;
    while (found === null) {
      await sleep(10);
      found = await newInspector(child.pid, []);
    }
    const debug = await InspectorSession.open(found);
    expect(await value).toBe(42);
    await sleep(3000);
    expect(await debug.evaluate({ expression: '1 + 1', timeoutMs: 5000 })).toBe(2);
    debug.end();
    await expectLeftAlone(child);
  });

  test('closes the inspector of a loop that does not turn', { timeout: 60_000 }, async () => {
    const child = await node(`setTimeout(() => {
      const end = Date.now() + 8000; while (Date.now() < end); console.log('turns'); }, 200);`);
    await sleep(500);
    expect(await evaluateIn(child.pid, sum, allowed)).toBe(42);
    expect(listenersOf(child.pid)).toEqual([]);
    expect(await child.line()).toBe('turns');
    await expectLeftAlone(child);
  });

  test('leaves a blocked process to its guard', { timeout: 90_000 }, async () => {
    const child = await node(`setTimeout(() => {
      require('node:child_process').execSync('sleep 12'); console.log('runs again'); }, 200);`);
    await sleep(500);
    const late = { expression: "console.log('too late'), 1" };
    await expect(evaluateIn(child.pid, late, allowed)).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      message: expect.stringMatching(/main thread is blocked; a guard \(process \d+\) closes/),
    });
    expect(guardsOf(child.pid)).toHaveLength(1);
    expect(await child.line()).toBe('runs again');
    await expectLeftAlone(child);
  });
});

describe('a port that another process holds', () => {
  test('is named in ERR_BUSY, and no signal is sent', async () => {
    const { port } = await listen();
    const child = await node('', port);
    const refusal = evaluateIn(child.pid, sum, allowed);
    await expect(refusal).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: expect.stringContaining(`process ${process.pid} (`),
    });
    await expectLeftAlone(child);
  });

  test('is waited for until it is free', async () => {
    const { port } = await listen();
    const child = await node('', port);
    const value = evaluateIn(child.pid, sum, allowed);
    await sleep(1000);
    for (const server of servers.splice(0)) server.close();
    expect(await value).toBe(42);
    await expectLeftAlone(child);
  });

  test('is shared in turns by processes that are asked at once', { timeout: 90_000 }, async () => {
    const { port } = await listen();
    for (const server of servers.splice(0)) server.close();
    const targets = [await node('', port), await node('', port), await node('', port)];
    const asked = targets.map(({ pid }) => evaluateIn(pid, sum, allowed));
    expect(await Promise.all(asked)).toEqual([42, 42, 42]);
    for (const child of targets) await expectLeftAlone(child);
  });
});

test.each(['192.0.2.1', 'example.invalid'])('opens no inspector on %s', async (host) => {
  const child = await children.run(process.execPath, [
    ...[`--inspect-port=${host}:0`, '-e', `${answers} console.log('ready')`],
  ]);
  const refusal = { code: 'ERR_UNSUPPORTED', message: expect.stringContaining(host) };
  await expect(evaluateIn(child.pid, sum, allowed)).rejects.toMatchObject(refusal);
  await expectLeftAlone(child);
});

test('opens an inspector on all addresses only with yesOpenInspector', async () => {
  const child = await children.run(process.execPath, [
    ...['--inspect-port=0.0.0.0:0', '-e', `${answers} console.log('ready')`],
  ]);
  await expect(evaluateIn(child.pid, sum, {})).rejects.toMatchObject({ code: 'ERR_DENIED' });
  expect(await evaluateIn(child.pid, sum, allowed)).toBe(42);
  await expectLeftAlone(child);
});

describe('rejects a listener that', () => {
  const id = '01234567-89ab-cdef-0123-456789abcdef';
  const respond = (body: (port: number) => string) => (socket: Socket) => {
    const text = body(socket.localPort ?? 0);
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`;
    socket.once('data', () => socket.write(head + text));
  };
  const list = (url: (port: number) => string) => (port: number) =>
    JSON.stringify([{ id, webSocketDebuggerUrl: url(port) }]);

  test.each([
    ['another host', list((port) => `ws://192.0.2.1:${port}/${id}`)],
    ['another port', list((port) => `ws://127.0.0.1:${port + 1}/${id}`)],
    ['another path', list((port) => `ws://127.0.0.1:${port}/${id}/../x`)],
    ['user and host', list((port) => `ws://127.0.0.1:${port}@192.0.2.1/${id}`)],
  ])('names %s', async (_what, body) => {
    expect(await inspectorAt(process.pid, await listen(respond(body)))).toBeNull();
  });

  test.each(['', 'null', '[]', '[null]', '{}', '[{"id":1}]', '[{"id":"x"}]', '[[[', '"x"'])(
    'answers %j',
    async (body) => {
      expect(await inspectorAt(process.pid, await listen(respond(() => body)))).toBeNull();
    },
  );

  test('answers without end', async () => {
    let sent = 0;
    const listener = await listen((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): void => {
        sent += 4096;
        if (!socket.destroyed && sent < 64e6) socket.write(Buffer.alloc(4096, 32), more);
      };
      more();
    });
    expect(await inspectorAt(process.pid, listener)).toBeNull();
    expect(sent).toBeLessThan(32e6);
  });

  test.each([
    ['answers nothing', () => {}],
    [
      'answers a byte at a time',
      (socket: Socket) => {
        const timer = setInterval(() => socket.write('H'), 50);
        socket.on('close', () => clearInterval(timer));
      },
    ],
  ])('%s', async (_what, onConnection) => {
    const begin = performance.now();
    expect(await inspectorAt(process.pid, await listen(onConnection))).toBeNull();
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  test('belongs to another process', async () => {
    const good = list((port) => `ws://127.0.0.1:${port}/${id}`);
    const listener = await listen(respond(good));
    expect(await inspectorAt(process.pid, listener)).toMatchObject({ id });
    const child = await node('');
    expect(await inspectorAt(child.pid, listener)).toBeNull();
    const inspector = { pid: child.pid, listener, id };
    await expect(InspectorSession.open(inspector)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  test('accepts the connection but answers nothing', { timeout: 60_000 }, async () => {
    const listener = await listen();
    const inspector = { pid: process.pid, listener, id };
    await expect(InspectorSession.open(inspector)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });
});

test('does not count a refused connection to the port as a debugger', async () => {
  const child = await node('');
  const probe = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      for (const { port } of listenersOf(child.pid))
        connect(port)
          .on('error', () => {})
          .destroy();
      await sleep(20);
    }
  };
  const [value] = await Promise.all([evaluateIn(child.pid, sum, allowed), probe()]);
  expect(value).toBe(42);
  await expectLeftAlone(child);
});
