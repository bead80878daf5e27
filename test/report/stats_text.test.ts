import { expect, test } from 'vitest';
import { statsText } from '../../src/report/stats_text.ts';
import { reportOf } from '../made_reports.ts';

const { stats } = reportOf([]);

test('says of each figure that lost records make unsure that it is', () => {
  const text = statsText({ ...stats, droppedRecords: 1234, totalBytes: 5e6, leakedBytes: 3e6 });
  expect(text).toMatch(/^allocated +at least 5\.00 MB$/m);
  expect(text).toMatch(/^peak .* at 0\.00 s, or more or less: 1,234 records were lost$/m);
  expect(text).toMatch(/^live at the end +3\.00 MB, or more or less: 1,234 records were lost$/m);
});

test('says nothing of lost records where there are none', () => {
  const text = statsText({ ...stats, totalBytes: 5e6 });
  expect(text).toMatch(/^allocated +5\.00 MB$/m);
  expect(text).not.toContain('more or less');
});
