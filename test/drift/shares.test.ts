/** Resident bytes of mappings that are several holders'. */
import { describe, expect, test } from 'vitest';
import { claimsOf, disjoint, sharesOf, sumsOf } from '../../src/drift/shares.ts';
import { rowsOf } from './made_facts.ts';

const page = 4096;
const claim = (start: number, end: number, holder: 'malloc' | 'memdrift' = 'malloc') => ({
  start: start * page,
  end: end * page,
  holder,
});

describe('claims', () => {
  test('are of whole pages', () => {
    expect(claimsOf([100, 5000], 'malloc')).toEqual([claim(0, 2)]);
  });

  test('that overlap are cut, so that no page is two holders’', () => {
    const all = [claim(4, 8, 'memdrift'), claim(0, 5), claim(1, 2, 'memdrift')];
    expect(disjoint(all)).toEqual([claim(0, 5), claim(5, 8, 'memdrift')]);
  });
});

describe('shares', () => {
  const rows = rowsOf([
    { start: 0, end: 4 * page, rss: 3 * page },
    { start: 4 * page, end: 8 * page, rss: 2 * page },
  ]);
  const holders = ['unexplained', 'unexplained'] as const;

  test('a mapping that is one holder’s is its, and nobody is asked', () => {
    const residentIn = () => {
      throw new Error('asked');
    };
    const { shares } = sharesOf(rows, holders, { claims: [claim(0, 8)], residentIn });
    expect(shares.map((one) => [...one])).toEqual([[['malloc', 3 * page]], [['malloc', 2 * page]]]);
  });

  test('of a part the kernel says how much is resident; the rest is its mapping’s holder’s', () => {
    const asked: number[] = [];
    const residentIn = (ranges: Float64Array) => {
      asked.push(...ranges);
      return [page];
    };
    const { shares, isMeasured } = sharesOf(rows, holders, { claims: [claim(1, 3)], residentIn });
    expect(asked).toEqual([page, 3 * page]);
    expect(isMeasured).toBe(true);
    expect([...(shares[0] ?? [])]).toEqual([
      ['malloc', page],
      ['unexplained', 2 * page],
    ]);
    expect(sumsOf(shares)('unexplained')).toBe(4 * page);
  });

  test('are never more than the mapping has, whatever came since it was read', () => {
    const residentIn = () => [4 * page];
    const { shares } = sharesOf(rows, holders, { claims: [claim(4, 7)], residentIn });
    expect([...(shares[1] ?? [])]).toEqual([['malloc', 2 * page]]);
  });

  test('without an answer are by size, and say so', () => {
    const residentIn = () => null;
    const { shares, isMeasured } = sharesOf(rows, holders, { claims: [claim(4, 6)], residentIn });
    expect(isMeasured).toBe(false);
    expect(shares[1]?.get('malloc')).toBe(page);
  });
});
