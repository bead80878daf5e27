/** What the main thread of a Node process does. */
import type { NodeAddresses } from './node_proof.ts';
import { openMemory } from './process_memory.ts';
import { linkOf, systemCallsOf } from './process_text.ts';

/** Of uv_loop_t: the descriptor of its epoll instance; libuv's ABI on 64-bit systems. */
const backendOffset = 64;

/**
 * Whether the main thread waits in the program's event loop, and has therefore handled what it was
 * signalled; a nested loop, as in execSync(), has another epoll instance. Null: it cannot be read.
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
