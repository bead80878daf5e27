// What is in the objects of soak_store.mjs: every byte follows from a seed, which is also in the
// object's head, so that an object tells by itself what it should be.

/** Seed and size, before the pattern. */
const headWords = 2;
export const smallestBytes = headWords * 4;

function wordAt(seed, i) {
  if (i === 0) return seed;
  // Bytes of another object, or of another place in this one, are wrong.
  const mixed = Math.imul(seed ^ Math.imul(i, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function wordsOf(bytes) {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

function tailOf(seed, sizeBytes) {
  return new Uint8Array(Uint32Array.of(wordAt(seed, sizeBytes >> 2)).buffer, 0, sizeBytes & 3);
}

/** Writes the words from `from` up to `to`, both parts of 1 of the whole. */
export function fill(bytes, seed, { from = 0, to = 1 } = {}) {
  const words = wordsOf(bytes);
  const end = Math.floor(words.length * to);
  for (let i = Math.floor(words.length * from); i < end; i++) words[i] = wordAt(seed, i);
  if (from === 0) words[1] = bytes.length;
  if (to === 1) bytes.set(tailOf(seed, bytes.length), words.length * 4);
}

/** The place of the first byte that is not of this seed, or -1. */
export function firstWrong(bytes, seed) {
  const words = wordsOf(bytes);
  if (words[0] !== seed) return 0;
  if (words[1] !== bytes.length) return 4;
  for (let i = headWords; i < words.length; i++) if (words[i] !== wordAt(seed, i)) return i * 4;
  const tail = tailOf(seed, bytes.length);
  for (let i = 0; i < tail.length; i++) {
    if (bytes[words.length * 4 + i] !== tail[i]) return words.length * 4 + i;
  }
  return -1;
}
