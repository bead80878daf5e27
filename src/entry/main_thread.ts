/** State of the main thread of a Node process. */
import type { NodeAddresses } from './node_proof.ts';
import { openMemory } from './process_memory.ts';
import { linkOf, systemCallsOf } from './process_text.ts';

/** Offset in uv_loop_t of its epoll descriptor: libuv's ABI on 64-bit systems. */
const backendOffset = 64;

/**
 * Returns whether the main thread waits in the program's event loop, and so has handled its
 * signals; a nested loop, as in execSync(), has another epoll instance. Null when that cannot be
 * read.
 */
export function isIdle(pid: number, addresses: NodeAddresses | null): boolean | null {
  if (addresses === null || addresses.loop === null) return null;
  try {
    const memory = openMemory(pid);
    try {
      const backend = memory.read(addresses.loop + backendOffset, 4).readInt32LE(0);
      if (linkOf(`/proc/${pid}/fd/${backend}`) !== 'anon_inode:[eventpoll]') return null;
      return systemCallsOf(pid).some((one) => one.thread === pid && one.argument === backend);
    } finally {
      memory.close();
    }
  } catch {
    return null;
  }
}
