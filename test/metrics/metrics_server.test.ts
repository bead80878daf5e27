/** The server of figures: where it listens, whom it answers, and how it ends. */
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { HostCheck } from '../../src/metrics/host_check.ts';
import { MetricsServer, metricsAddress } from '../../src/metrics/metrics_server.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(address: string): Promise<MetricsServer> {
  const server = await MetricsServer.listen(metricsAddress(address));
  servers.push(server);
  return server;
}

describe('an address', () => {
  test.each([
    [':9400', '127.0.0.1', 9400],
    ['9400', '127.0.0.1', 9400],
    [':0', '127.0.0.1', 0],
    ['0.0.0.0:9400', '0.0.0.0', 9400],
    ['localhost:1', 'localhost', 1],
    ['[::1]:65535', '::1', 65_535],
  ])('%j is %s, port %i', (text, host, port) => {
    expect(metricsAddress(text)).toEqual({ host, port });
  });

  test.each([[''], [':'], ['x'], [':65536'], ['::1:80'], [':-1'], ['host:'], ['http://a:1']])(
    '%j is none',
    (text) => {
      expect(() => metricsAddress(text)).toThrow(expect.objectContaining({ code: 'ERR_INVALID' }));
    },
  );
});

describe('the server', () => {
  test('is on loopback unless somebody says otherwise, and tells its port', async () => {
    const server = await listen(':0');
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*\/metrics$/);
    expect(server.isPublic).toBe(false);
    expect((await listen('0.0.0.0:0')).isPublic).toBe(true);
  });

  test('answers who asks for the figures, and nobody else', async () => {
    const server = await listen(':0');
    const url = new URL(server.url);
    expect((await fetch(url)).status).toBe(503);
    server.serve({ contentType: 'text/plain; version=0.0.4', metrics: async () => 'a 1\n' });
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await response.text()).toBe('a 1\n');
    const statuses = [
      await fetch(url, { method: 'HEAD' }),
      await fetch(new URL('/metrics?x=1', url)),
      await fetch(new URL('/', url)),
      await fetch(new URL('/other', url)),
      await fetch(url, { method: 'POST', body: 'x' }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 200, 404, 405]);
  });

  test('a source that fails is an answer, not the end', async () => {
    const server = await listen(':0');
    server.serve({ contentType: 'x/y', metrics: () => Promise.reject(new Error('no figures')) });
    const response = await fetch(server.url);
    expect([response.status, await response.text()]).toEqual([500, 'no figures\n']);
    expect((await fetch(server.url)).status).toBe(500);
  });

  test('a port that is taken is an error that says so', async () => {
    const other = createServer();
    servers.push(other);
    await new Promise<void>((resolve) => {
      other.listen(0, '127.0.0.1', resolve);
    });
    const { port } = other.address() as AddressInfo;
    await expect(listen(`:${port}`)).rejects.toMatchObject({
      code: 'ERR_SYSTEM',
      message: expect.stringMatching(new RegExp(`127.0.0.1:${port}: the port is in use`)),
    });
    await expect(listen('192.0.2.1:0')).rejects.toMatchObject({
      message: expect.stringContaining('this host has no such address'),
    });
  });

  test('at its end no connection is left open', async () => {
    const server = await listen(':0');
    const { url } = server;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const closed = new Promise((resolve) => {
      socket.on('close', resolve).on('error', () => {});
    });
    await new Promise((resolve) => {
      socket.once('connect', resolve);
    });
    server.close();
    await closed;
    await expect(fetch(url)).rejects.toThrow();
  });

  test('closes the connection of a request with a body, and reads none of it', async () => {
    const server = await figures();
    const socket = await connected(server);
    socket.write('POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n');
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 405 .*\r\nConnection: close\r\n/s);
  });

  test('refuses headers of 9 kB', async () => {
    const server = await figures();
    const socket = await connected(server);
    socket.write(
      `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(9_000)}\r\n\r\n`,
    );
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('makes the figures once for requests at the same time', async () => {
    const server = await listen(':0');
    let count = 0;
    const metrics = async (): Promise<string> => {
      count++;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return 'a 1\n';
    };
    server.serve({ contentType: 'x/y', metrics });
    const socket = await connected(server);
    const one = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n';
    socket.write(`${`${one}\r\n`.repeat(200)}${one}Connection: close\r\n\r\n`);
    expect((await received(socket)).match(/a 1\n/g)).toHaveLength(201);
    expect(count).toBeLessThan(10);
  });
});

async function figures(address = ':0'): Promise<MetricsServer> {
  const server = await listen(address);
  server.serve({ contentType: 'text/plain', metrics: async () => 'a 1\n' });
  return server;
}

async function connected(server: MetricsServer): Promise<Socket> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  servers.push({ close: () => socket.destroy() });
  socket.on('error', () => {});
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  return socket;
}

/** Returns all that the server sends until it closes the connection. */
function received(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return new Promise((resolve) => {
    socket.once('close', () => resolve(text));
  });
}

describe('the Host header', () => {
  const statusFor = (server: MetricsServer, host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      const headers = { host: host.replace('PORT', port) };
      const sent = request({ host: '127.0.0.1', port, path: '/metrics', headers, agent: false });
      sent.on('error', reject).on('response', (response) => resolve(response.statusCode));
      sent.end();
    });

  test.each([
    ['localhost:PORT'],
    ['LOCALHOST'],
    ['localhost.:PORT'],
    ['127.0.0.1:PORT'],
    ['[::1]:PORT'],
  ])('is answered when it is %s', async (host) => {
    expect(await statusFor(await figures(), host)).toBe(200);
  });

  test.each([
    ['evil.example:PORT'],
    ['localhost.evil.example'],
    ['evil.localhost:PORT'],
    ['127.0.0.1.evil.example'],
    ['127.0.0.1@evil.example'],
    ['192.0.2.1:PORT'],
    ['localhost:PORT/metrics'],
  ])('is refused when it is %j, also on all addresses', async (host) => {
    expect(await statusFor(await figures(), host)).toBe(421);
    expect(await statusFor(await figures('0.0.0.0:0'), host)).toBe(421);
  });

  test.each([['GET /metrics HTTP/1.1\r\nHost:\r\n\r\n'], ['GET /metrics HTTP/1.0\r\n\r\n']])(
    'is refused when it is missing: %j',
    async (text) => {
      const socket = await connected(await figures());
      socket.end(text);
      expect(await received(socket)).toMatch(/^HTTP\/1\.1 421 /);
    },
  );

  test('is accepted when it is the host that was given', async () => {
    const check = new HostCheck('Node17');
    expect(check.allows('node17:9400', '10.0.0.17')).toBe(true);
    expect(check.allows('10.0.0.17:9400', '10.0.0.17')).toBe(true);
    expect(check.allows('node18:9400', '10.0.0.17')).toBe(false);
    expect(new HostCheck('0.0.0.0').allows('any.name', '10.0.0.17')).toBe(true);
    expect(new HostCheck('::').allows('any.name', '::ffff:127.0.0.1')).toBe(false);
  });
});

describe('slow clients', () => {
  test('do not block a scrape when 200 hold half a request', async () => {
    const server = await figures();
    const held = await Promise.all(Array.from({ length: 200 }, () => connected(server)));
    for (const socket of held) socket.write('GET /metrics HTTP/1.1\r\nHost: loc');
    const start = performance.now();
    const response = await fetch(server.url);
    expect([response.status, await response.text()]).toEqual([200, 'a 1\n']);
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test('do not block a scrape when 200 do not read a large answer', async () => {
    const server = await listen(':0');
    const large = 'a 1\n'.repeat(1_000_000);
    server.serve({ contentType: 'text/plain', metrics: async () => large });
    const held = await Promise.all(Array.from({ length: 200 }, () => connected(server)));
    for (const socket of held)
      socket.pause().write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const response = await fetch(server.url);
    expect((await response.text()).length).toBe(large.length);
  });

  test('are closed after some seconds', async () => {
    const server = await figures();
    const [silent, half] = [await connected(server), await connected(server)];
    half.write('GET /metrics HTTP/1.1\r\nHost: loc');
    await Promise.all([received(silent), received(half)]);
  });
});
