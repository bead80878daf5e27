/** Makes capture files without a program, as docs/capture-format.md describes them. */
import { writeFileSync } from 'node:fs';

const headerBytes = 64;
const frameTypes = { info: 1, events: 2, thread: 3, code: 5, end: 9 } as const;
const records = { alloc: 0, node: 7 } as const;
const namedCode = 0x10;
const functions = 3;

export interface MadeCapture {
  /** Calls on the one stack; its functions are `step1` to `step3` in turn. */
  readonly depth: number;
  /** The depth of each block, and its bytes. */
  readonly blocks: readonly { readonly depth: number; readonly bytes: number }[];
  readonly argv?: readonly string[];
}

/**
 * Writes a capture of one thread that has one stack of any depth. The tracker cuts stacks at 256
 * functions; the format has no such limit.
 */
export function writeMadeCapture(path: string, made: MadeCapture): void {
  const info = {
    role: 'main',
    pid: 42,
    argv: made.argv ?? ['node', 'app.js'],
    execArgv: [],
    nodeVersion: 'v22.0.0',
    startedAtMs: 1_700_000_000_000,
  };
  const thread = Buffer.alloc(16);
  thread.writeUInt32LE(42, 8);
  thread.writeUInt32LE(1, 12);
  const events = Buffer.from(recordsOf(made));
  writeFileSync(
    path,
    Buffer.concat([
      header(),
      frame('info', 0, Buffer.from(JSON.stringify(info))),
      frame('thread', 1, Buffer.concat([thread, Buffer.from('node')])),
      frame('code', 0, codeOf()),
      frame('events', 1, events),
      frame('end', 0, endOf(events.length)),
    ]),
    { mode: 0o600 },
  );
}

function recordsOf({ depth, blocks }: MadeCapture): number[] {
  const bytes: number[] = [];
  let lastCode = 0;
  for (let node = 0; node < depth; node++) {
    const code = (node % functions) + 1;
    // The distance to the parent is 0: each is called by the one before it.
    bytes.push(records.node | namedCode, 0);
    putVarint(bytes, zigzag(code - lastCode));
    bytes.push(0);
    lastCode = code;
  }
  let lastNode = 0;
  for (const block of blocks) {
    bytes.push(records.alloc);
    putVarint(bytes, zigzag(block.depth - lastNode));
    lastNode = block.depth;
    // A varint of the zigzagged sixteenth of the distance, plus one.
    putVarint(bytes, zigzag(0x10000) + 1);
    putVarint(bytes, block.bytes);
  }
  return bytes;
}

/** Code records: compiled code of the first isolate. */
function codeOf(): Buffer {
  const all = Array.from({ length: functions }, (_, i) => {
    const name = Buffer.from(`JS:*step${i + 1} /srv/app.js:${i + 1}:1`);
    return Buffer.concat([Buffer.from([2, i + 1, 0, name.length]), name]);
  });
  return Buffer.concat(all);
}

/** Says that the capture is whole. */
function endOf(eventBytes: number): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeBigUInt64LE(BigInt(eventBytes), 8);
  bytes.writeUInt32LE(1, 32);
  bytes.writeUInt32LE(1, 36);
  return bytes;
}

const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);

function putVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
}

function header(): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.set([0x89, 0x4d, 0x44, 0x43, 0x0d, 0x0a, 0x1a, 0x0a]);
  bytes.writeUInt32LE(1, 8);
  bytes.writeUInt32LE(headerBytes, 12);
  bytes.writeBigUInt64LE(1_700_000_000_000_000_000n, 16);
  bytes.writeUInt32LE(42, 40);
  bytes.writeUInt32LE(4096, 44);
  bytes.writeUInt32LE(62, 48);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 60)), 60);
  return bytes;
}

function frame(type: keyof typeof frameTypes, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(frameTypes[type], 0);
  head.writeUInt32LE(payload.length, 4);
  head.writeUInt32LE(stream, 8);
  head.writeUInt32LE(crc32c(Buffer.concat([head.subarray(0, 12), payload])), 12);
  return Buffer.concat([head, payload]);
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1;
  return rest;
});

function crc32c(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (table[(rest ^ byte) & 255] as number) ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}
