import { describe, expect, it } from 'vitest';
import { arrayKey, checkArray, fillArray } from '../../src/experiment/pattern.ts';

const identity = { client: 3, round: 7, direction: 'to-client' } as const;

describe('arrayKey', () => {
  it('gives every array of a large run a key of its own', () => {
    const keys = new Set<bigint>();
    for (let client = 0; client < 50; client++) {
      for (let round = 0; round < 50; round++) {
        keys.add(arrayKey({ client, round, direction: 'to-client' }));
        keys.add(arrayKey({ client, round, direction: 'to-server' }));
      }
    }
    expect(keys.size).toBe(50 * 50 * 2);
  });
});

describe('checkArray', () => {
  it('accepts what fillArray wrote, at sizes that are no multiple of a word', async () => {
    for (const size of [0, 1, 9, 4095, 100_003]) {
      const bytes = new Uint8Array(size);
      await fillArray(bytes, identity);
      await expect(checkArray(bytes, identity)).resolves.toBeUndefined();
    }
  });

  it('names the one byte that was flipped, wherever it is', async () => {
    const bytes = new Uint8Array(100_003);
    for (const index of [0, 8191, 32_768, 65_541, 100_002]) {
      await fillArray(bytes, identity);
      bytes[index] = (bytes[index] ?? 0) ^ 1;
      await expect(checkArray(bytes, identity)).rejects.toMatchObject({
        code: 'ERR_CHECK',
        details: { index, client: 3, round: 7 },
      });
    }
  });

  it("refuses another array's content", async () => {
    const bytes = new Uint8Array(4096);
    await fillArray(bytes, identity);
    await expect(checkArray(bytes, { ...identity, round: 8 })).rejects.toMatchObject({
      code: 'ERR_CHECK',
    });
  });
});
