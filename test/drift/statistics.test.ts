/** An allocator that is not walked, by its own counts. */
import { expect, test } from 'vitest';
import type { MallocFacts } from '../../src/drift/facts.ts';
import { partsByStatistics } from '../../src/drift/malloc_causes.ts';

const own = { allocatedBytes: 30, activeBytes: 90, residentBytes: 200, retainedBytes: 500 };
const facts = { own } as MallocFacts;

test('splits what is resident into Buffers, in use, freed and memory of others', () => {
  const parts = partsByStatistics(facts, { residentBytes: 220, arrayBuffersBytes: 25 });
  expect(parts).toEqual({
    arrayBufferBytes: 25,
    inUseBytes: 5,
    stringBytes: 0,
    freedBytes: 170,
    topBytes: 0,
    otherBytes: 20,
  });
});

test('has no more than is resident, whatever the allocator counts', () => {
  const parts = partsByStatistics(facts, { residentBytes: 20, arrayBuffersBytes: 25 });
  const { arrayBufferBytes = 0, inUseBytes = 0, freedBytes = 0, otherBytes = 0 } = parts ?? {};
  expect([arrayBufferBytes, inUseBytes, freedBytes, otherBytes]).toEqual([20, 0, 0, 0]);
});

test('has no parts of an allocator without counts', () => {
  const sums = { residentBytes: 20, arrayBuffersBytes: 5 };
  expect(partsByStatistics({ own: null } as MallocFacts, sums)).toBeNull();
});
