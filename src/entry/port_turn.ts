/**
 * Turns of memdrift's processes at one inspector port: of two processes that are signalled at once,
 * one opens its inspector and the other only says that it failed.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until no other of us has its turn, or the time is over; returns what ends the turn. An
 * abstract socket is the lock: of the same network namespace as the port, and gone with its holder.
 */
export async function turnAt(port: number, timeoutMs: number): Promise<() => void> {
  const deadline = performance.now() + timeoutMs;
  do {
    const lock = createServer((socket) => socket.destroy());
    try {
      // Exclusive, or the main process of a cluster would listen for its workers.
      lock.listen({ path: `\0memdrift-inspector-${port}`, exclusive: true });
      await once(lock, 'listening');
      return () => lock.close();
    } catch {
      await sleep(20);
    }
  } while (performance.now() < deadline);
  // Any user may hold the name: it makes us polite, and decides nothing.
  return () => {};
}
