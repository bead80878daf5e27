/** What `memdrift explain --since` prints. */
import { expect, test } from 'vitest';
import { growthBetween } from '../../src/drift/growth.ts';
import { growthText } from '../../src/report/growth_text.ts';
import { explanationOf } from '../drift/made_explanation.ts';

const mappings = (bytes: number) =>
  Array.from({ length: 20 }, (_, i) => ({
    startAddress: 4096 * (i + 1),
    endAddress: 4096 * (i + 2),
    name: i === 0 ? '/srv/data\u001b' : '',
    holder: 'malloc' as const,
    rssBytes: bytes + i * bytes,
  }));

test('growth is by cause and by mapping, with a rest, and both add up', () => {
  const before = explanationOf({ 'malloc-in-use': 210e6 }, { mappings: mappings(1e6) });
  const after = explanationOf(
    { 'malloc-in-use': 420e6 },
    { mappings: mappings(2e6), takenAtMs: before.takenAtMs + 60_000 },
  );
  const text = growthText(growthBetween(before, after), after);
  expect(text).toMatch(/^RSS 210\.00 -> 420\.00 MB: \+210\.00 MB in 60 s, process 4711 \(node\)$/m);
  expect(text).toMatch(/^malloc-in-use +\+210\.00 +210\.00 +420\.00$/m);
  const growths = [...text.matchAll(/^(?:[0-9a-f]+|all others) +\+([0-9.]+)/gm)];
  expect(growths).toHaveLength(13);
  const sum = growths.reduce((all, [, bytes]) => all + Number(bytes), 0);
  expect(sum).toBeCloseTo(210, 1);
  expect(text).not.toContain('\u001b');
});

test('ends with the cause that grew most, its rate, and what to do about it', () => {
  const before = explanationOf({ 'malloc-in-use': 210e6, 'v8-heap': 50e6 });
  const later = { takenAtMs: before.takenAtMs + 10_000 };
  const after = explanationOf({ 'malloc-in-use': 330e6, 'v8-heap': 51e6 }, later);
  const text = growthText(growthBetween(before, after), after);
  expect(text).toContain('malloc-in-use grew most: by 120.00 MB, 12.00 MB a second. Two looks do');
  expect(text).toMatch(/\nNow 330\.00 MB are held by native code.*\n$/);
});

test('names no cause where nothing grew by much', () => {
  const before = explanationOf({ 'malloc-in-use': 210e6 });
  const after = explanationOf({ 'malloc-in-use': 210.5e6 });
  expect(growthText(growthBetween(before, after), after)).toMatch(/\nNo cause grew by much\.\n$/);
});
