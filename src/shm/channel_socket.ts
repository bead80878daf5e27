/** How a connection of a channel ends, so that neither end misses the last frames of the other. */
import type { Socket } from 'node:net';

/** A stopped end, or a stranger, keeps the other end's descriptor no longer than this. */
const goodbyeMs = 1000;

/**
 * Ends a connection whose other end may be writing. If we closed it at once that write would fail.
 * So the other end reads all and closes.
 */
export function endSoftly(socket: Socket): void {
  socket.setTimeout(goodbyeMs, () => socket.destroy());
  socket.end();
}

/** Errors of a write to an end that has closed. */
const closedCodes = new Set<string | undefined>(['EPIPE', 'ECONNRESET']);

/**
 * Takes a write to an end that has closed for done. Node would drop what the other end sent before:
 * messages, acknowledgements, a close. Its end follows when all of that was read.
 */
export function readPastFailedWrites(socket: Socket): void {
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, done) => write(chunk, encoding, unlessClosed(done));
  if (writev) socket._writev = (chunks, done) => writev(chunks, unlessClosed(done));
}

type Done = (error?: NodeJS.ErrnoException | null) => void;

const unlessClosed =
  (done: Done): Done =>
  (error) =>
    done(closedCodes.has(error?.code) ? null : error);
