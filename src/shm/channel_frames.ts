/**
 * What goes through a channel's socket: frames of 16 bytes, little-endian, in both directions.
 *
 *   byte 0      FrameKind
 *   byte 1      version of this format
 *   bytes 2-3   zero
 *   bytes 4-7   count
 *   bytes 8-15  value, a safe integer
 *
 * The other end is another process and therefore untrusted: whatever is not of this form throws.
 */
import { MemdriftError } from '../errors.ts';

export const frameBytes = 16;
export const frameVersion = 1;

export const frameKinds = {
  /** Sender: `value` is the channel's key, `count` its pid, for people. */
  hello: 1,
  /** Receiver: so many messages of this sender may wait here. */
  welcome: 2,
  /** Sender: `value` is the id of an object. */
  object: 3,
  /** Receiver: so many more messages, in order, were taken. */
  taken: 4,
  /** Either: nothing more will be sent, or received. */
  close: 5,
  /** Receiver: why the connection ends, `count` is one of `refusals`. */
  refused: 6,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

/** Why a receiver ends a connection that it has not closed itself. */
export const refusals = { otherChannel: 1, malformed: 2, enoughSenders: 3 } as const;

export interface Frame {
  readonly kind: FrameKind;
  readonly count: number;
  readonly value: number;
}

const maxKind = Math.max(...Object.values(frameKinds));

/** Adds frames up, so that what is said in one turn is one write. */
export class FrameWriter {
  #buffer = Buffer.allocUnsafe(frameBytes * 4);
  #usedBytes = 0;

  get isEmpty(): boolean {
    return this.#usedBytes === 0;
  }

  add(kind: FrameKind, count: number, value: number): void {
    if (this.#usedBytes === this.#buffer.length) this.#grow();
    const buffer = this.#buffer;
    const at = this.#usedBytes;
    buffer.writeUInt32LE(kind + frameVersion * 256, at);
    buffer.writeUInt32LE(count, at + 4);
    buffer.writeUInt32LE(value % 2 ** 32, at + 8);
    buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 12);
    this.#usedBytes += frameBytes;
  }

  /** What was added since the last call; the writer has it no more. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#usedBytes);
    this.#buffer = Buffer.allocUnsafe(frameBytes * 4);
    this.#usedBytes = 0;
    return taken;
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(this.#buffer.length * 2);
    this.#buffer.copy(larger);
    this.#buffer = larger;
  }
}

/** Returns one frame, for what is said alone. */
export function frameOf(kind: FrameKind, count: number, value: number): Buffer {
  const writer = new FrameWriter();
  writer.add(kind, count, value);
  return writer.take();
}

/** Cuts what a socket gives into frames. */
export class FrameReader {
  #rest: Buffer | null = null;

  /**
   * The frames that end in `chunk`, with what the last one left.
   * @throws MemdriftError ERR_MALFORMED; the reader is of no use after it.
   */
  *read(chunk: Buffer): Generator<Frame, void, undefined> {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    const whole = bytes.length - (bytes.length % frameBytes);
    this.#rest = whole === bytes.length ? null : Buffer.from(bytes.subarray(whole));
    for (let at = 0; at < whole; at += frameBytes) yield frameAt(bytes, at);
  }
}

function frameAt(bytes: Buffer, at: number): Frame {
  const head = bytes.readUInt32LE(at);
  const kind = head & 0xff;
  const version = (head >>> 8) & 0xff;
  if (version !== frameVersion) {
    throw malformed(`has version ${version}, and ${frameVersion} is spoken here`, { version });
  }
  if (kind === 0 || kind > maxKind || head >>> 16 !== 0) {
    throw malformed(`begins with 0x${head.toString(16)}, which no frame does`, { kind });
  }
  const high = bytes.readUInt32LE(at + 12);
  if (high >= 2 ** 21) throw malformed('has a value beyond all safe integers', { kind });
  const value = high * 2 ** 32 + bytes.readUInt32LE(at + 8);
  return { kind: kind as FrameKind, count: bytes.readUInt32LE(at + 4), value };
}

/** An error about what the other end of a channel sent. */
export function malformed(what: string, details: Record<string, unknown>): MemdriftError {
  return new MemdriftError('ERR_MALFORMED', `a frame of a channel ${what}`, details);
}
