/** Where the growth went between two explanations. */
import { describe, expect, test } from 'vitest';
import type { ExplainedMapping, Explanation } from '../../src/drift/explain_model.ts';
import { type Growth, growthBetween } from '../../src/drift/growth.ts';
import { explanationOf } from './made_explanation.ts';

const mapping = (
  startAddress: number,
  rssBytes: number,
  more: Partial<ExplainedMapping> = {},
): ExplainedMapping => ({
  startAddress,
  endAddress: startAddress + 1e6,
  name: '',
  holder: 'malloc',
  rssBytes,
  ...more,
});

function expectSums({ bytes, causes, mappings, otherBytes }: Growth): void {
  expect(causes.reduce((sum, row) => sum + row.bytes, 0)).toBe(bytes);
  expect(mappings.reduce((sum, row) => sum + row.bytes, otherBytes)).toBe(bytes);
}

describe('growth', () => {
  const before = explanationOf(
    { 'malloc-freed': 10, 'v8-heap': 50 },
    { unexplainedBytes: 5, mappings: [mapping(1000, 60), mapping(2000, 5)] },
  );
  const after = explanationOf(
    { 'malloc-freed': 70, 'v8-heap': 40 },
    { unexplainedBytes: 5, mappings: [mapping(1000, 110), mapping(3000, 5)], takenAtMs: 2e12 },
  );

  test('by cause is the difference of each, largest first, and adds up', () => {
    const growth = growthBetween(before, after);
    expectSums(growth);
    expect(growth.bytes).toBe(50);
    expect(growth.causes[0]).toEqual({
      cause: 'malloc-freed',
      beforeBytes: 10,
      afterBytes: 70,
      bytes: 60,
    });
    expect(growth.causes.at(-1)).toMatchObject({ cause: 'v8-heap', bytes: -10 });
    expect(growth.notes).toEqual([]);
  });

  test('by mapping is of those at one address; what was not there, was nothing', () => {
    const { mappings } = growthBetween(before, after);
    expect(mappings.map(({ startAddress, bytes }) => [startAddress, bytes])).toEqual([
      [1000, 50],
      [3000, 5],
      [2000, -5],
    ]);
  });

  test('mappings of a file, and V8’s, are one row each, wherever they are', () => {
    const file = { name: '/srv/data', holder: 'file-data' } as const;
    const with4 = (bytes: number): Explanation['mappings'] => [
      ...[mapping(1, bytes, file), mapping(2, bytes, file)],
      ...[mapping(bytes, 3, { holder: 'v8' }), mapping(bytes + 1, 4, { holder: 'v8' })],
    ];
    const growth = growthBetween(
      explanationOf({ 'file-data': 20, 'v8-heap': 7 }, { mappings: with4(10) }),
      explanationOf({ 'file-data': 60, 'v8-heap': 7 }, { mappings: with4(30) }),
    );
    expectSums(growth);
    expect(growth.mappings).toEqual([
      { ...file, startAddress: null, beforeBytes: 20, afterBytes: 60, bytes: 40 },
    ]);
  });

  test('what the earlier one may have had without keeping it is in the rest, not growth', () => {
    const kept = { mappings: [mapping(1000, 50)], otherMappings: { count: 9, rssBytes: 10 } };
    const growth = growthBetween(
      explanationOf({ 'malloc-in-use': 60 }, kept),
      explanationOf({ 'malloc-in-use': 100 }, { mappings: [mapping(1000, 60), mapping(9, 40)] }),
    );
    expectSums(growth);
    expect(growth.mappings).toHaveLength(1);
    expect(growth.otherBytes).toBe(30);
  });

  test('a cause that is in another row then or now has no figure there, and the sum holds', () => {
    const growth = growthBetween(
      explanationOf({ 'v8-heap': 50, 'v8-pooled': 20 }),
      explanationOf({ 'v8-heap': 80, 'v8-pooled': null }),
    );
    expectSums(growth);
    expect(growth.causes.find(({ cause }) => cause === 'v8-pooled')).toEqual({
      cause: 'v8-pooled',
      beforeBytes: 20,
      afterBytes: null,
      bytes: -20,
    });
  });

  test('says what makes the two hard to compare', () => {
    const other = explanationOf({}, { pid: 12, source: 'outside', takenAtMs: 1 });
    expect(growthBetween(explanationOf({}), other).notes).toHaveLength(3);
  });
});
