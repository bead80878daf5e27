/** Whether a Node process has handled the signal that opens its inspector. */
import { debugSignal, type NodeAddresses } from './node_proof.ts';
import { openMemory, type ProcessMemory } from './process_memory.ts';
import { hasPending, isStopped, linkOf, systemCallsOf, textOf } from './process_text.ts';

/** Offsets in uv_loop_t: libuv's ABI on 64-bit systems. */
const offset = { internalFields: 40, backend: 64 };
/** Offset of the number of turns in the internal fields of libuv 1.45 and later. */
const turnsOffset = 8;
/** Between two beginnings of a poll the loop has handled what was sent to it before. */
const handledTurns = 2;
/**
 * No loop turns more often. Libuv before 1.45 has there, in place of a number of turns, the time at
 * which the loop began to poll in nanoseconds, or 0: their difference is larger than this.
 */
const mostTurnsPerMs = 10_000;

export interface LoopState {
  /** Whether the process is stopped, or has not been delivered the signal yet. */
  readonly isHeld: boolean;
  /**
   * Whether the main thread waits in the program's event loop; a nested loop, as in execSync(), has
   * another epoll instance.
   */
  readonly isPolling: boolean;
  /** How often the loop has begun to poll; `hasTurned()` is for it. */
  readonly turns: number;
  readonly atMs: number;
}

/**
 * Returns the state of the event loop to which Node's thread has passed the signal on; null while
 * the thread does so, or when the state cannot be read.
 */
export function loopState(pid: number, addresses: NodeAddresses | null): LoopState | null {
  if (addresses === null || addresses.loop === null) return null;
  const { loop, semaphore } = addresses;
  try {
    const memory = openMemory(pid);
    try {
      const backend = memory.read(loop + offset.backend, 4).readInt32LE(0);
      if (linkOf(`/proc/${pid}/fd/${backend}`) !== 'anon_inode:[eventpoll]') return null;
      const turns = wordAt(memory, wordAt(memory, loop + offset.internalFields) + turnsOffset);
      const status = textOf(`/proc/${pid}/status`);
      const calls = systemCallsOf(pid);
      if (!calls.some(({ argument }) => argument === semaphore)) return null;
      return {
        isHeld: isStopped(status) || hasPending(status, debugSignal),
        isPolling: calls.some((one) => one.thread === pid && one.argument === backend),
        turns,
        atMs: performance.now(),
      };
    } finally {
      memory.close();
    }
  } catch {
    return null;
  }
}

/** Returns whether the loop has handled what was sent to it before the first of the two looks. */
export function hasTurned(before: LoopState, now: LoopState): boolean {
  const turns = now.turns - before.turns;
  return turns >= handledTurns && turns <= (now.atMs - before.atMs) * mostTurnsPerMs;
}

function wordAt(memory: ProcessMemory, address: number): number {
  return Number(memory.read(address, 8).readBigUInt64LE(0));
}
