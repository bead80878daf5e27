/**
 * Turns of memdrift's processes at one inspector port: of two processes that are signalled at once,
 * one opens its inspector and the other reports a failure.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until no other memdrift process has its turn, or the time is over; returns a function that
 * ends the turn. The lock is an abstract socket: it belongs to the port's network namespace, and is
 * gone with its holder.
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
  // Without the lock we continue: any user may hold the name.
  return () => {};
}
