import { expect, it } from 'vitest';
import { storeLogLine } from '../../src/experiment/store_log.ts';

it("a line of the store's log reads like Ray's, with the resident pages beside", () => {
  const line = storeLogLine(new Date(Date.UTC(2026, 0, 31, 10, 20, 30, 456)), {
    liveBytes: 1_000_000_000,
    capacityBytes: 10_000_000_000,
    residentBytes: 1_000_046_592,
    arenaBytes: 1_000_038_400,
    objects: 10,
  });
  expect(line).toBe(
    '2026-01-31T10:20:30.456Z 953.67MiB/9.31GiB object_store_memory, 953.72MiB resident, ' +
      '953.71MiB in extents, 10 objects',
  );
});

it('an empty store has no bytes', () => {
  const numbers = { liveBytes: 0, capacityBytes: 1023, residentBytes: 1024, arenaBytes: 0 };
  const line = storeLogLine(new Date(0), { ...numbers, objects: 1 });
  expect(line).toMatch(
    / 0B\/1023B object_store_memory, 1.00KiB resident, 0B in extents, 1 object$/,
  );
});
