/** Frames of a channel as somebody might send them who is no channel: any bytes, cut anywhere. */
import { expect, it } from 'vitest';
import { isMemdriftError } from '../../src/errors.ts';
import {
  type Frame,
  FrameReader,
  FrameWriter,
  frameBytes,
  frameKinds,
} from '../../src/shm/channel_frames.ts';
import { cut } from '../mutated_messages.ts';
import { randomFrom } from '../random.ts';

const random = randomFrom(8);
const kinds = Object.values(frameKinds);
/** Values and counts at the ends of their ranges. */
const numbers = [0, 1, 255, 2 ** 31, 2 ** 32 - 1];
const values = [...numbers, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER];

function pick<T>(from: readonly T[]): T {
  return from[random(from.length)] as T;
}

/** Valid frames, most times with a few bytes changed, lost or more. */
function strangeFrames(): Buffer {
  const writer = new FrameWriter();
  for (let count = random(6); count >= 0; count--) {
    writer.add(pick(kinds), pick(numbers), pick(values));
  }
  let bytes = Buffer.from(writer.take());
  for (let changes = random(3); changes > 0; changes--) {
    const at = random(bytes.length);
    const middle = Buffer.from(Array.from({ length: random(4) }, () => random(256)));
    bytes = Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + random(4))]);
  }
  return bytes;
}

/** What a reader makes of the pieces: its frames, and whether it went on to the end. */
function read(pieces: readonly Buffer[]): { frames: Frame[]; refused: boolean } {
  const reader = new FrameReader();
  const frames: Frame[] = [];
  try {
    for (const piece of pieces) for (const frame of reader.read(piece)) frames.push(frame);
    return { frames, refused: false };
  } catch (error) {
    expect(isMemdriftError(error, 'ERR_MALFORMED') ? '' : String(error)).toBe('');
    return { frames, refused: true };
  }
}

it('are read or refused, and the same however they are cut', () => {
  let refused = 0;
  for (let count = 0; count < 5000; count++) {
    const bytes = strangeFrames();
    const whole = read([bytes]);
    expect(read(cut(random, bytes)), bytes.toString('hex')).toEqual(whole);
    for (const { kind, count, value } of whole.frames) {
      expect(kinds).toContain(kind);
      expect(count).toBeLessThan(2 ** 32);
      expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
    }
    // What was read is what was there, and nothing of it was left out.
    const writer = new FrameWriter();
    for (const { kind, count, value } of whole.frames) writer.add(kind, count, value);
    const again = writer.take();
    expect(again.equals(bytes.subarray(0, again.length))).toBe(true);
    if (!whole.refused) expect(bytes.length - again.length).toBeLessThan(frameBytes);
    refused += whole.refused ? 1 : 0;
  }
  expect(refused).toBeGreaterThan(1000);
  expect(refused).toBeLessThan(4500);
});
