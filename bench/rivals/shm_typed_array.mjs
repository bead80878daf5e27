// npm's shm-typed-array as bench/store_worker.mjs uses a store. Keys are those of System V, which
// is what its create() makes unless it is given a name.
import { createRequire } from 'node:module';

const wanted = process.env.MEMDRIFT_BENCH_SHM_TYPED_ARRAY ?? 'shm-typed-array';

export async function open() {
  const shm = createRequire(import.meta.url)(wanted);
  return {
    async put(bytes) {
      const array = shm.create(bytes.length, 'Uint8Array');
      array.set(bytes);
      return array.key;
    },
    // Whoever has created a segment is attached to it, or it would be gone.
    drop: (key) => shm.destroy(key),
    async get(key) {
      const bytes = shm.get(key, 'Uint8Array');
      return { bytes, release: () => shm.detach(key) };
    },
    close: () => shm.detachAll(),
  };
}
