import { describe, expect, it } from 'vitest';
import { encodeMessage, MessageDecoder } from '../../src/experiment/messages.ts';

describe('MessageDecoder', () => {
  it('puts messages together again wherever the stream was cut', () => {
    const messages = [
      { type: 'hello', client: 4 },
      { type: 'array', round: 2, id: 2 ** 40 + 7 },
      { type: 'done' },
    ] as const;
    const stream = messages.map(encodeMessage).join('');
    for (let cut = 0; cut <= stream.length; cut++) {
      const decoder = new MessageDecoder();
      const decoded = [...decoder.push(stream.slice(0, cut)), ...decoder.push(stream.slice(cut))];
      expect(decoded).toEqual(messages);
    }
  });

  it.each([
    ['no JSON', 'hello\n'],
    ['an unknown type', '{"type":"format"}\n'],
    ['a negative id', '{"type":"array","round":0,"id":-1}\n'],
    ['a fractional client', '{"type":"hello","client":0.5}\n'],
    ['a line without end', 'x'.repeat(5000)],
  ])('refuses %s', (_what, line) => {
    expect(() => new MessageDecoder().push(line)).toThrow(
      expect.objectContaining({ code: 'ERR_MALFORMED' }),
    );
  });
});
