import { expect, it } from 'vitest';
import {
  age,
  counted,
  megabytes,
  seconds,
  signedMegabytes,
  sizeWithUnit,
  times,
} from '../../src/report/units.ts';

it('sizes are megabytes of 10^6 bytes with two decimals', () => {
  expect(megabytes(3_104_450_000)).toBe('3104.45');
  expect(megabytes(0)).toBe('0.00');
  expect([sizeWithUnit(999_999), sizeWithUnit(1e6)]).toEqual(['999999 bytes', '1.00 MB']);
  expect(signedMegabytes(-1_234_000)).toBe('-1.23');
  expect(signedMegabytes(1_234_000)).toBe('+1.23');
});

it('what is not known is never 0', () => {
  expect([megabytes(null), seconds(null), age(null)]).toEqual(['unknown', 'unknown', 'unknown']);
  expect([times(null, 1), times(1, null), times(1, 0)]).toEqual(['unknown', 'unknown', 'unknown']);
  expect(times(3, 2)).toBe('1.50');
});

it('ages are read at a glance', () => {
  const minute = 60_000;
  const ages = [400, 59_999, 5 * minute, 180 * minute, 72 * 60 * minute].map(age);
  expect(ages).toEqual(['0.4 s', '59 s', '5 min', '3 h', '3 d']);
  expect([counted(1, 'look'), counted(0, 'look')]).toEqual(['1 look', '0 looks']);
});
