/** A small HTTP server for one that scrapes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { MemdriftError } from '../errors.ts';
import { ConnectionLimit } from './connection_limit.ts';
import { HostCheck } from './host_check.ts';

/** What is served: prom-client's Registry is one. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
}

export interface MetricsAddress {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

const loopback = '127.0.0.1';
/** A scraper has one connection; the rest is room for slow clients until they are dropped. */
const mostConnections = 64;
/** Scrapers send their few lines at once. Sockets without traffic are closed as well. */
const limits = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 2_500,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8 << 10,
} as const;
const stillSocketMs = 10_000;

/** `:9400`, `9400`, `HOST:9400`, `[::1]:9400`. @throws MemdriftError ERR_INVALID */
export function metricsAddress(text: string): MetricsAddress {
  const [, six, name, digits] = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits !== undefined && port <= 65_535) return { host: six ?? (name || loopback), port };
  throw new MemdriftError(
    'ERR_INVALID',
    `--prometheus is "${text}"; it must be :PORT, or HOST:PORT to serve others than this host.`,
    { address: text },
  );
}

export class MetricsServer {
  readonly #server: Server;
  readonly #hosts: HostCheck;
  #source: MetricsSource | null = null;
  /** The text that is being made; every request meanwhile gets it. */
  #pending: Promise<string> | null = null;

  private constructor(host: string) {
    this.#hosts = new HostCheck(host);
    const connections = new ConnectionLimit(mostConnections);
    this.#server = createServer(limits, (request, response) => {
      connections.begin(request.socket);
      response.once('close', () => connections.end(request.socket));
      this.#answer(request, response).catch((error: Error) => {
        end(response, 500, `${error.message}\n`);
      });
    });
    this.#server.timeout = stillSocketMs;
    this.#server.on('connection', (socket) => connections.add(socket));
  }

  /** Listens at once, so that a port that is taken is known before anything else begins. */
  static async listen({ host, port }: MetricsAddress): Promise<MetricsServer> {
    const made = new MetricsServer(host);
    const server = made.#server;
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: NodeJS.ErrnoException): void => reject(cannotListen(cause, host, port));
      server.once('error', fail);
      server.listen({ host, port }, () => {
        server.off('error', fail);
        resolve();
      });
    });
    // Nobody waits for whoever might scrape.
    server.unref();
    return made;
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${isIPv6(address) ? `[${address}]` : address}:${port}/metrics`;
  }

  /** True: others than this host can read it. */
  get isPublic(): boolean {
    const { address } = this.#server.address() as AddressInfo;
    return !(address.startsWith('127.') || address === '::1' || address === '::ffff:127.0.0.1');
  }

  serve(source: MetricsSource): void {
    this.#source = source;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url, headers, socket } = request;
    // The server reads no body: the connection ends with the answer.
    const isPlain = method === 'GET' || method === 'HEAD';
    if (!isPlain || 'content-length' in headers || 'transfer-encoding' in headers)
      response.shouldKeepAlive = false;
    const [path] = (url ?? '').split('?');
    if (!this.#hosts.allows(headers.host, socket.localAddress))
      end(response, 421, this.#hosts.refusal);
    else if (!isPlain) end(response, 405, 'GET only\n');
    else if (path === '/') end(response, 200, 'memdrift watch: the figures are at /metrics\n');
    else if (path !== '/metrics') end(response, 404, 'the figures are at /metrics\n');
    else if (this.#source === null) end(response, 503, 'nothing is watched yet\n');
    else {
      const text = await this.#text(this.#source);
      response.setHeader('Content-Type', this.#source.contentType);
      end(response, 200, text);
    }
  }

  #text(source: MetricsSource): Promise<string> {
    this.#pending ??= source.metrics().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('Content-Type'))
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.statusCode = status;
  response.end(text);
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; name another, or :0 for one that is free',
  EACCES: 'it is not allowed; ports below 1024 are for root',
  EADDRNOTAVAIL: 'this host has no such address',
  ENOTFOUND: 'there is no such host',
};

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): MemdriftError {
  const why = reasons[cause.code ?? ''] ?? cause.message;
  return new MemdriftError('ERR_SYSTEM', `cannot serve metrics on ${host}:${port}: ${why}.`, {
    host,
    port,
    cause,
  });
}
