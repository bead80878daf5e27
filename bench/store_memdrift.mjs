// This library as bench/store_worker.mjs and bench/store_echo.mjs use a store.
import { Store } from '../dist/index.js';

export async function open(name, { trim = false } = {}) {
  // A put finds the pages that the one before has left, however long the others have had a turn.
  const store = await Store.open(name, { trim, keepBytes: 1e10 });
  return {
    put: (bytes) => store.put(bytes),
    drop: (id) => store.delete(id),
    get: (id) => store.get(id),
    /** For who reads all of it at once. */
    getToRead: (id) => store.get(id, { populate: true }),
    channel: (channelName) => store.channel(channelName),
    close: () => store.close(),
  };
}
