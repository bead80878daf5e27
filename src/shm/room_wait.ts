/** Waiting until a full store has room. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMemdriftError, MemdriftError } from '../errors.ts';

/** For calls that need room in a store. */
export interface RoomOptions {
  /**
   * How long to wait while the store, or /dev/shm, is full; with Infinity until it has room.
   * Default 0: fail at once.
   */
  readonly timeoutMs?: number;
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal;
}

const shortestPauseMs = 1;
const longestPauseMs = 20;

/**
 * Calls `attempt` until it finds room. Room appears without a sign when a client dies, so that it
 * is asked for, 1 to 20 ms apart; no thread waits meanwhile.
 * @throws MemdriftError ERR_FULL when there was none in time, and what `attempt` throws besides.
 */
export async function whenRoom<T>(
  attempt: () => Promise<T>,
  { timeoutMs = 0, signal }: RoomOptions,
): Promise<T> {
  signal?.throwIfAborted();
  const deadlineMs = performance.now() + timeoutMs;
  for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (timeoutMs === 0 || !isMemdriftError(error, 'ERR_FULL')) throw error;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw waitedInVain(error, timeoutMs);
      await pause(Math.min(pauseMs, leftMs), signal);
    }
  }
}

/** @throws the signal's reason */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  // The timer's own error would hide the reason.
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  signal?.throwIfAborted();
}

function waitedInVain(error: MemdriftError, timeoutMs: number): MemdriftError {
  return new MemdriftError('ERR_FULL', `${error.message} (waited ${timeoutMs} ms)`, {
    ...error.details,
    timeoutMs,
    cause: error,
  });
}
