/**
 * The socket of a program that `memdrift run` started: by it the same user ends its capture, or
 * begins another one, without the inspector. One line of JSON is asked, one is answered.
 */

import type { Socket } from 'node:net';
import type { Binding } from '../door.ts' with { 'resolution-mode': 'import' };
import type { ControlAnswer, ControlRequest } from '../entry/control_model.ts' with {
  'resolution-mode': 'import',
};
import type { PreloadOrder } from './launch.ts' with { 'resolution-mode': 'import' };

const { createServer } = require('node:net') as typeof import('node:net');
const { join } = require('node:path') as typeof import('node:path');

/** What is done when it is asked for. */
export interface Control {
  /** @throws where a capture is written already. */
  start(path: string, options: PreloadOrder['options']): void;
  /** The path of the capture that is whole now; null: there was none. */
  stop(): string | null;
  /** What explain() needs of this process, as JSON. */
  explain(deep: boolean): Promise<string> | string;
}

type Sockets = Pick<Binding, 'trackerListen' | 'trackerEndControl'>;

/** A request is never larger. */
const maxRequestBytes = 64 << 10;
const maxSocketPathBytes = 107;

/**
 * Listens until the process ends, without keeping it, where it can. Returns a function that removes
 * the socket.
 */
function serveControl(folder: string, control: Control, native: Sockets): () => void {
  const path = join(folder, `tracked-${process.pid}-${Date.now()}.sock`);
  if (Buffer.byteLength(path) > maxSocketPathBytes) return () => {};
  const server = createServer((socket) => {
    let request = '';
    let isAsked = false;
    spareStderr(socket);
    socket.on('error', () => {});
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      // What comes behind the one request is read, or the other end could not close, and dropped.
      if (isAsked) return;
      request += text;
      const end = request.indexOf('\n');
      if ((end < 0 ? request.length : end) > maxRequestBytes) socket.destroy();
      else if (end >= 0) {
        isAsked = true;
        void answer(socket, control, request.slice(0, end));
      }
    });
    // A client that waits does not keep the program either.
    socket.unref();
  });
  server.on('error', () => {});
  try {
    // Exclusive, or the main process of a cluster would listen for its workers.
    server.listen({ fd: native.trackerListen(path), exclusive: true });
  } catch {
    // The program is tracked all the same.
    return () => {};
  }
  server.unref();
  return () => native.trackerEndControl();
}

/**
 * Has the socket end without a look at process.stderr. Node compares a socket with it, which makes a
 * stream of the program's descriptor: a pipe behind that would stay O_NONBLOCK for all who share it.
 */
function spareStderr(socket: Socket): void {
  const destroy = socket._destroy;
  socket._destroy = (error, done) => {
    const stderr = Object.getOwnPropertyDescriptor(process, 'stderr');
    // Otherwise the program has replaced it, and reading it makes nothing.
    const isLazy = stderr?.get !== undefined && stderr.configurable === true;
    if (isLazy) Object.defineProperty(process, 'stderr', { configurable: true, value: undefined });
    try {
      destroy.call(socket, error, done);
    } finally {
      if (isLazy) Object.defineProperty(process, 'stderr', stderr);
    }
  };
}

async function answer(socket: Socket, control: Control, text: string): Promise<void> {
  socket.end(`${JSON.stringify(await answerTo(control, text))}\n`);
}

async function answerTo(control: Control, text: string): Promise<ControlAnswer> {
  try {
    const request = JSON.parse(text) as ControlRequest | null;
    if (typeof request !== 'object' || request === null) return { error: 'not understood' };
    if (request.do === 'ping') return {};
    if (request.do === 'stop') return { path: control.stop() };
    if (request.do === 'explain') return { facts: await control.explain(request.deep === true) };
    if (request.do !== 'start' || typeof request.path !== 'string')
      return { error: 'not understood' };
    control.start(request.path, (request.options ?? {}) as PreloadOrder['options']);
    return { path: request.path };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

module.exports = { serveControl };

/** What this module is to who loads it. */
export interface ControlModule {
  readonly serveControl: typeof serveControl;
}
