import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorCodes, isMemdriftError, MemdriftError } from '../src/errors.ts';

describe('MemdriftError', () => {
  it('carries a code for programs and the values involved', () => {
    const error = new MemdriftError('ERR_GONE', 'no such pid: 7', { pid: 7 });
    expect(isMemdriftError(error, 'ERR_GONE')).toBe(true);
    expect(isMemdriftError(error, 'ERR_DENIED')).toBe(false);
    expect(error.details.pid).toBe(7);
  });

  it('knows every code that the native core can throw', () => {
    const header = readFileSync(new URL('../native/errors.h', import.meta.url), 'utf8');
    const native = [...header.matchAll(/X\((ERR_\w+)\)/g)].map((match) => match[1]);
    expect(native.length).toBeGreaterThan(10);
    expect(Object.keys(errorCodes)).toEqual(expect.arrayContaining(native));
  });
});
