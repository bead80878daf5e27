/** A call tree as text and as screens of any size. */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { callTree } from '../../src/analysis/call_tree.ts';
import { TreeBrowser } from '../../src/analysis/tree_browser.ts';
import type { CaptureReport } from '../../src/capture/capture_model.ts';
import { treeScreen, treeText } from '../../src/report/tree_text.ts';
import { frameOf as madeFrame, reportOf } from '../made_reports.ts';

const frameOf: typeof madeFrame = (name, more) => madeFrame(name, { file: '/app.js', ...more });

const [main, load, odd] = [frameOf('main'), frameOf('load', { line: 7 }), frameOf('o\x1b[2Jd')];
const report = reportOf([
  { stack: [main, load], bytes: 3_000_000, count: 1200 },
  { stack: [main, odd], bytes: 1_000_000 },
  { stack: [main], bytes: 500_000 },
  { stack: [load], bytes: 500_000 },
]);
const options = { isInverted: false, hidesInternals: false, biggest: 3 };
const what = 'live at the peak';

function textOf(
  of: CaptureReport,
  { maxDepth = Number.POSITIVE_INFINITY, isInverted = false },
): string {
  const tree = callTree(of, { ...options, isInverted });
  return Array.from(treeText(tree, { what, maxDepth })).join('');
}

describe('the text', () => {
  test('has every shown function, what is its own, and the rest', () => {
    const text = textOf(report, { maxDepth: 9 });
    expect(text).toBe(
      [
        '5.00 MB live at the peak, outermost functions first',
        '',
        '        MB      %     count  function',
        '      4.50   90.0     1,202    main  /app.js:1',
        '      3.00   60.0     1,200      load  /app.js:7',
        '      1.00   20.0         1      o?[2Jd  /app.js:1',
        '      0.50   10.0         1      (own)',
        '      0.50   10.0         1    (smaller stacks)',
        '',
      ].join('\n'),
    );
  });

  test('ends at a depth', () => {
    const text = textOf(report, { maxDepth: 1, isInverted: true });
    expect(text.split('\n').slice(3)).toEqual([
      '      3.50   70.0     1,201    load  /app.js:7',
      '      1.00   20.0         1    o?[2Jd  /app.js:1',
      '      0.50   10.0         1    main  /app.js:1',
      '',
    ]);
  });
});

test('says the depth instead of indenting further when a stack is deep', () => {
  const stack = Array.from({ length: 1_500 }, (_, i) => frameOf(`f${i}`));
  const lines = textOf(reportOf([{ stack, bytes: 10 }]), {}).split('\n');
  expect(lines.find((line) => line.includes('f100 '))).toMatch(/^.{29} {200} {2}f100 {2}/);
  expect(lines.find((line) => line.includes('f1234 '))).toMatch(/^.{29} {200}\[1,234\] f1234 {2}/);
});

describe('a screen', () => {
  const deep = reportOf([
    { stack: Array.from({ length: 60 }, (_, i) => frameOf(`f${i}`)), bytes: 10 },
  ]);
  test.each([
    [80, 24],
    [200, 60],
    [20, 5],
    [10, 3],
    [1, 1],
  ])('of %i columns and %i rows has no more', (columns, rows) => {
    for (const of of [report, deep, reportOf([])]) {
      const browser = new TreeBrowser(callTree(of, options));
      browser.move(70);
      const screen = { what, columns, rows, message: '', color: true };
      const lines = treeScreen(browser, screen).map(stripVTControlCharacters);
      expect(lines).toHaveLength(rows);
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
    }
  });

  test('marks what is open, closed and selected', () => {
    const browser = new TreeBrowser(callTree(report, options));
    const size = { what, columns: 60, rows: 9, message: '/loa', color: false };
    const lines = treeScreen(browser, size);
    expect(lines[2]).toBe(
      `\x1b[7m${'      4.50   90.0     1,202  ▾ main  /app.js:1'.padEnd(60)}\x1b[27m`,
    );
    expect(lines.at(-1)).toBe('/loa');
    browser.toggle();
    expect(treeScreen(browser, size)[2]).toContain('▸ main');
  });

  test('shows the name of the selected function, however deep it is', () => {
    const browser = new TreeBrowser(callTree(deep, options));
    browser.move(59);
    const lines = treeScreen(browser, { what, columns: 70, rows: 10, message: '', color: false });
    expect(lines.find((line) => line.includes('\x1b[7m'))).toContain('f59  /app.js:1');
  });
});
