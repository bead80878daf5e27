import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type Frame,
  FrameReader,
  FrameWriter,
  frameBytes,
  frameKinds,
} from '../../src/shm/channel_frames.ts';

const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

function frame(kind: Frame['kind'], count: number, value: number): Buffer {
  const writer = new FrameWriter();
  writer.add(kind, count, value);
  return writer.take();
}

function changed(at: number, byte: number): Buffer {
  const bytes = Buffer.from(frame(frameKinds.object, 0, 5));
  bytes[at] = byte;
  return bytes;
}

describe('frames', () => {
  const frames: Frame[] = [
    { kind: frameKinds.hello, count: 4_294_967_295, value: 2 ** 48 - 1 },
    { kind: frameKinds.object, count: 0, value: Number.MAX_SAFE_INTEGER },
    { kind: frameKinds.object, count: 0, value: 2 ** 32 },
    { kind: frameKinds.taken, count: 65_536, value: 0 },
    { kind: frameKinds.close, count: 0, value: 0 },
    { kind: frameKinds.refused, count: 2, value: 0 },
  ];

  it('are read as they were written, however the socket cuts them', () => {
    const writer = new FrameWriter();
    for (const { kind, count, value } of frames) writer.add(kind, count, value);
    const bytes = writer.take();
    expect(bytes.length).toBe(frames.length * frameBytes);
    for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes++) {
      const reader = new FrameReader();
      const read: Frame[] = [];
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        read.push(...reader.read(bytes.subarray(at, at + pieceBytes)));
      }
      expect(read).toEqual(frames);
    }
  });

  it('that were taken from a writer stay as they are', () => {
    const writer = new FrameWriter();
    writer.add(frameKinds.object, 0, 1);
    const first = writer.take();
    writer.add(frameKinds.object, 0, 2);
    expect([...new FrameReader().read(first)]).toMatchObject([{ value: 1 }]);
    expect([...new FrameReader().read(writer.take())]).toMatchObject([{ value: 2 }]);
    expect(writer.isEmpty).toBe(true);
  });

  it.each([
    ['kind 0', changed(0, 0)],
    ['a kind that there is not', changed(0, 7)],
    ['version 0', changed(1, 0)],
    ['a later version', changed(1, 2)],
    ['something in the third byte', changed(2, 1)],
    ['something in the fourth byte', changed(3, 0x80)],
    ['a value that is no safe integer', changed(14, 0x20)],
    ['a value of 64 bits', changed(15, 0xff)],
    ['text', Buffer.from('GET / HTTP/1.1\r\n')],
  ])('with %s are refused', (_what, bytes) => {
    expect(() => [...new FrameReader().read(bytes)]).toThrow(errorWith('ERR_MALFORMED'));
  });

  it('before a bad one are read', () => {
    const read: Frame[] = [];
    const bytes = Buffer.concat([frame(frameKinds.object, 0, 9), changed(0, 99)]);
    expect(() => {
      for (const one of new FrameReader().read(bytes)) read.push(one);
    }).toThrow(errorWith('ERR_MALFORMED'));
    expect(read).toMatchObject([{ value: 9 }]);
  });

  it('of random bytes are of known kinds with safe values, or an error', () => {
    for (let round = 0; round < 2000; round++) {
      const bytes = randomBytes(frameBytes * 3 + 5);
      // Past the first check every second time, so that the later ones are met as well.
      if (round % 2 === 0) bytes.set([1 + (round % 6), 1, 0, 0]);
      try {
        for (const { kind, count, value } of new FrameReader().read(bytes)) {
          expect(Object.values(frameKinds)).toContain(kind);
          expect(count).toBe(bytes.readUInt32LE(4));
          expect(Number.isSafeInteger(value)).toBe(true);
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_MALFORMED' });
      }
    }
  });
});
