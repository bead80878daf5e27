/**
 * Entry of the server process: it sends each client an array of its own, checks the one that comes
 * back, and sends the next, each client at its own pace, until all have done their rounds.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { binding } from '../binding.ts';
import { MemdriftError } from '../errors.ts';
import { type ChildContext, runChild } from './child.ts';
import { Connection } from './connection.ts';
import { checkAndRelease, makeArray } from './transfer.ts';
import { Turns } from './turns.ts';

runChild(async (context) => {
  const progress = new Progress(context);
  const server = createServer();
  try {
    const connections = acceptClients(server, context);
    await listen(server, context.setup.socketPath);
    context.send({ type: 'listening' });
    await Promise.all(
      connections.map(async (arrival, client) =>
        serveClient(context, progress, { client, connection: await arrival }),
      ),
    );
  } finally {
    server.close();
    // Also after a failure: main must not wait for a poll to learn of the end.
    context.postFlag();
  }
});

/**
 * Arrays are made as many at a time as there are processors. All at once, the first client would
 * get its array when the last does, and all would be at the same step for the rest of the run.
 */
const making = new Turns(availableParallelism());

/** How often main is told how far the run is, besides when it asks: for the report of a cut run. */
const statusIntervalMs = 100;

/** Follows the run as a whole, and tells main of the moments at which it should look. */
class Progress {
  readonly #context: ChildContext;
  readonly #roundsByClient: number[];
  #arraysInFlight = 0;
  #roundsDone = 0;
  #roundsBegun = 0;
  #lastLook: Promise<void> | null = null;
  #statusSentAt = 0;

  constructor(context: ChildContext) {
    this.#context = context;
    this.#roundsByClient = new Array<number>(context.setup.clients).fill(0);
    context.on('status', () => this.#sendStatus());
  }

  /**
   * An array is with its client. When the last one is, main looks while that client works, so that
   * the look delays nobody; should it take longer, the last release waits for it.
   */
  sent(): void {
    this.#arraysInFlight++;
    this.#roundsBegun++;
    if (this.#roundsBegun < this.#roundsTotal) return;
    this.#lastLook = this.#context.next('proceed');
    this.#context.send({ type: 'moment', moment: 'last release' });
  }

  /** An array came back and is right, but is not released yet. */
  async checked(client: number): Promise<void> {
    this.#arraysInFlight--;
    this.#roundsDone++;
    this.#roundsByClient[client] = (this.#roundsByClient[client] ?? 0) + 1;
    if (performance.now() - this.#statusSentAt > statusIntervalMs) this.#sendStatus();
    if (this.#roundsDone === Math.ceil(this.#roundsTotal / 2)) {
      this.#context.send({ type: 'moment', moment: 'mid-run' });
    }
    if (this.#roundsDone === this.#roundsTotal) await this.#lastLook;
  }

  get #roundsTotal(): number {
    return this.#context.setup.clients * this.#context.setup.rounds;
  }

  #sendStatus(): void {
    this.#statusSentAt = performance.now();
    const status = {
      roundsDone: this.#roundsDone,
      arraysInFlight: this.#arraysInFlight,
      roundsByClient: this.#roundsByClient,
    };
    this.#context.send({ type: 'status', status });
  }
}

async function serveClient(
  context: ChildContext,
  progress: Progress,
  { client, connection }: { client: number; connection: Connection },
): Promise<void> {
  for (let round = 0; round < context.setup.rounds; round++) {
    const id = await making.take(() =>
      makeArray(context, { client, round, direction: 'to-client' }),
    );
    connection.send({ type: 'array', round, id });
    progress.sent();
    const answer = await connection.receive();
    if (answer.type !== 'array' || answer.round !== round) {
      throw new MemdriftError(
        'ERR_MALFORMED',
        `client ${client} sent '${answer.type}' where its array of round ${round + 1} was due`,
      );
    }
    await checkAndRelease(context, {
      id: answer.id,
      identity: { client, round, direction: 'to-server' },
      beforeRelease: () => progress.checked(client),
    });
  }
  connection.send({ type: 'done' });
}

/** One promise per client, settled when that client has said hello, or the run is aborted. */
function acceptClients(server: Server, context: ChildContext): Promise<Connection>[] {
  const { signal } = context;
  const arrivals = new Map<number, (connection: Connection) => void>();
  server.on('connection', (socket) => {
    void greet(socket, signal).then((arrival) => {
      const settle = arrival && arrivals.get(arrival.client);
      // A stranger, a second hello or a number that is nobody's: the run goes on without it.
      if (!arrival || !settle) return socket.destroy();
      arrivals.delete(arrival.client);
      settle(arrival.connection);
    });
  });
  return Array.from(
    { length: context.setup.clients },
    (_, client) =>
      new Promise<Connection>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        arrivals.set(client, resolve);
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  );
}

async function greet(
  socket: Socket,
  signal: AbortSignal,
): Promise<{ client: number; connection: Connection } | null> {
  try {
    if (!isOwnUser(socket)) return null;
    const connection = new Connection(socket, { peer: 'a client', signal });
    const hello = await connection.receive();
    return hello.type === 'hello' ? { client: hello.client, connection } : null;
  } catch {
    return null;
  }
}

/** The folder of the socket is this user's alone; this holds even if somebody opened it up. */
function isOwnUser(socket: Socket): boolean {
  const fd = (socket as unknown as { _handle: { fd: number } })._handle.fd;
  return binding().socketPeer(fd).uid === process.getuid?.();
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
}
