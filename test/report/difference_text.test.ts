/** The text of what grew and what shrank. */
import { expect, test } from 'vitest';
import type { DifferenceRow } from '../../src/analysis/difference.ts';
import { differenceText } from '../../src/report/difference_text.ts';
import { frameOf } from '../made_reports.ts';

function rowOf(name: string, bytes: number): DifferenceRow {
  const held = { fromBytes: 10_000_000, toBytes: 10_000_000 + bytes };
  return { bytes, ...held, count: 1, kind: 'malloc', stack: [frameOf(name)] };
}

test('what would be told as 0.00 MB is counted and in the sums, without lines of its own', () => {
  const rows = [rowOf('large', 2_000_000), rowOf('tiny', 4_999), rowOf('tinier', 3)];
  const difference = { fromBytes: 30_000_000, toBytes: 32_005_002, rows };
  const head = { what: 'live at the peak', from: 'in a', to: 'in b', most: 10 };
  const text = Array.from(differenceText(difference, head)).join('');
  expect(text).toContain('grew by 2.01 MB');
  expect(text).toContain('large');
  expect(text).not.toContain('tiny');
  expect(text).toContain('2 more: --rows, or --json for all');
});
