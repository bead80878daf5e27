/** Messages as somebody might send them who is not one of ours: for tests of what reads them. */

type Random = (below: number) => number;

/** Texts that a reader of JSON may stumble over. */
const oddities = [
  '',
  'null',
  '[]',
  '0',
  '"text"',
  '{}',
  '{"__proto__":{"type":"done","do":"stop","client":0}}',
  '{"constructor":{"prototype":{"type":"done"}}}',
  '{"type":"__proto__"}',
  '{"type":"toString"}',
  '{"type":["array"],"round":0,"id":1}',
  '{"type":"array","round":-0.0,"id":9007199254740993}',
  '{"type":"array","round":1e308,"id":1e309}',
  '{"type":"hello","client":"0"}',
  '{"type":"hello"}',
  '{"do":null}',
  '{"do":"start","path":{"toString":1}}',
  '{"do":"start","path":"x","options":null}',
  '{"do":"explain","deep":"yes"}',
  '\u0000\u001b[2J\u009b2J',
  '['.repeat(3000),
  `{"a":"${'x'.repeat(5000)}"}`,
  'x'.repeat(70_000),
];

/** A few lines: valid ones, changed ones, odd ones, with bytes lost, doubled and replaced. */
export function mutated(random: Random, valid: readonly string[]): Buffer {
  const lines: string[] = [];
  for (let count = random(4); count >= 0; count--) {
    const from = random(3) === 0 ? oddities : valid;
    lines.push(from[random(from.length)] ?? '');
  }
  let bytes = Buffer.from(lines.join(random(8) === 0 ? '' : '\n') + (random(4) ? '\n' : ''));
  for (let changes = random(4); changes > 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length);
    const end = at + random(Math.min(20, bytes.length - at));
    const middle = [
      Buffer.alloc(0),
      Buffer.concat([bytes.subarray(at, end), bytes.subarray(at, end)]),
      Buffer.from([random(256)]),
      Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
      Buffer.from('\n'),
      Buffer.from('"__proto__":'),
    ][random(6)] as Buffer;
    bytes = Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(end)]);
  }
  return bytes;
}

/** The bytes in pieces, cut anywhere. */
export function cut(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random(random(2) ? bytes.length : 10);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
