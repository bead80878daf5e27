/**
 * Reads libuv's signal watchers in another process, which show `process.on('SIGUSR1')`: a red-black
 * tree of uv_signal_t by signal number. Its layout is libuv's ABI on 64-bit systems; each node is
 * checked, so that another layout is an error and not an empty answer.
 */
import type { MemoryBytes, ProcessMemory } from './process_memory.ts';

const watcherBytes = 152;
const offset = { type: 16, signal: 104, left: 112, right: 120, parent: 128, color: 136 };
const signalType = 16;
const highestSignal = 64;
/** Node keeps one watcher per signal, libuv one per loop; a tree that never ends is not a tree. */
const mostWatchers = 4096;

/**
 * Returns the signal numbers that libuv watches, from the tree whose root pointer is at `address`.
 * @throws RangeError when the memory does not hold such a tree, or the tree changes meanwhile.
 */
export function watchedSignals(memory: ProcessMemory, address: number): ReadonlySet<number> {
  const signals = new Set<number>();
  const waiting = [{ at: pointerAt(memory.read(address, 8), 0), parent: 0 }];
  let seen = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.at === 0) continue;
    if (++seen > mostWatchers) throw new RangeError('the tree of signal watchers has no end');
    const watcher = memory.read(next.at, watcherBytes);
    signals.add(signalOf(watcher, next.parent));
    for (const side of [offset.left, offset.right]) {
      waiting.push({ at: pointerAt(watcher, side), parent: next.at });
    }
  }
  return signals;
}

function signalOf(watcher: MemoryBytes, parent: number): number {
  const signal = watcher.readInt32LE(offset.signal);
  const isWatcher =
    watcher.readInt32LE(offset.type) === signalType &&
    signal >= 1 &&
    signal <= highestSignal &&
    pointerAt(watcher, offset.parent) === parent &&
    [0, 1].includes(watcher.readInt32LE(offset.color));
  if (!isWatcher)
    throw new RangeError('the memory does not hold signal watchers as libuv has them');
  return signal;
}

function pointerAt(bytes: MemoryBytes, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}
