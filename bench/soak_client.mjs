// One of the processes that soak_store.mjs kills: it does what it is told, one thing after another,
// and says what came of it. argv: the store's name.
import { setTimeout as sleep } from 'node:timers/promises';
import { Store } from '../dist/index.js';
import { fill, firstWrong } from './soak_bytes.mjs';

const mostHeld = 4;
const store = await Store.open(process.argv[2], { label: `soak ${process.pid}` });
/** What this process reads: each with its seed, and whether it wrote to its view. */
const held = [];

const mark = 0xee;

/** Throws unless the object has the bytes that it must have for this process. */
function check({ object: { id, bytes }, seed, written }) {
  if (written && bytes[0] !== mark) throw new Error(`object ${id} lost what was written to it`);
  // Everything else of the copy is as it was made.
  if (written) bytes[0] = seed & 0xff;
  const wrongAt = firstWrong(bytes, seed);
  if (written) bytes[0] = mark;
  if (wrongAt >= 0) throw new Error(`object ${id} is wrong at byte ${wrongAt}`);
  return bytes.length;
}

function releaseOldest() {
  const oldest = held.shift();
  const checkedBytes = check(oldest);
  oldest.object.release();
  return checkedBytes;
}

const works = {
  async put({ seed, sizeBytes, pauseMs, aborts }) {
    const made = await store.createAsync(sizeBytes);
    fill(made.bytes, seed, { to: 0.5 });
    if (pauseMs > 0) await sleep(pauseMs);
    fill(made.bytes, seed, { from: 0.5 });
    if (aborts) made.abort();
    else made.seal();
    return aborts ? {} : { id: made.id };
  },
  async copy({ seed, sizeBytes }) {
    const bytes = new Uint8Array(sizeBytes);
    fill(bytes, seed);
    return { id: await store.put(bytes) };
  },
  async get({ id, seed, writes }) {
    const object = await store.get(id);
    // One object is one view in a process: who wrote to it sees that in all its references.
    const same = held.filter((other) => other.object.id === id);
    const one = { object, seed, written: same.some((other) => other.written) };
    let checkedBytes = check(one);
    if (writes) {
      object.bytes[0] = mark;
      for (const other of [one, ...same]) other.written = true;
    }
    held.push(one);
    while (held.length > mostHeld) checkedBytes += releaseOldest();
    return { checkedBytes };
  },
  async release() {
    let checkedBytes = 0;
    while (held.length > 0) checkedBytes += releaseOldest();
    return { checkedBytes };
  },
  async delete({ id }) {
    store.delete(id);
    return {};
  },
  async giveBack({ keepBytes }) {
    return { givenBytes: await store.giveBack(keepBytes) };
  },
  async close() {
    store.close();
    return {};
  },
};

process.on('message', async (work) => {
  let answer;
  try {
    answer = await works[work.kind](work);
  } catch (error) {
    answer = { code: error.code ?? 'wrong', message: error.message };
  }
  process.send({ number: work.number, ...answer });
  if (work.kind === 'close') process.disconnect();
});
process.on('disconnect', () => process.exit());
process.send({ ready: true });
