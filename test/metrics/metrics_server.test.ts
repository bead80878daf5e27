/** The server of figures: where it listens, whom it answers, and how it ends. */
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
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
});
