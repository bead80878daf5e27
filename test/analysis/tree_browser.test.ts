/** Walking about in a call tree. */
import { describe, expect, test } from 'vitest';
import { callTree } from '../../src/analysis/call_tree.ts';
import { TreeBrowser } from '../../src/analysis/tree_browser.ts';
import type { Frame } from '../../src/capture/capture_model.ts';
import { frameOf, reportOf } from '../made_reports.ts';

const frames = new Map([...'abcde'].map((name) => [name, frameOf(name)]));

/** Outermost first. */
function stackOf(names: string): readonly Frame[] {
  return [...names].map((name) => frames.get(name) as Frame);
}

/** a calls b, which calls c for 50 and d for 40; e holds 10. */
function browser(): TreeBrowser {
  const rows = [
    { stack: stackOf('abc'), bytes: 50 },
    { stack: stackOf('abd'), bytes: 40 },
    { stack: stackOf('ed'), bytes: 10 },
  ];
  const options = { isInverted: false, hidesInternals: false, biggest: 10 };
  return new TreeBrowser(callTree(reportOf(rows), options));
}

/** The open lines by name, the selected one in brackets. */
function shown(one: TreeBrowser): string {
  return one.lines
    .map(({ node }, i) => {
      const name = one.tree.nodes[node]?.frame?.function ?? '';
      return i === one.selected ? `[${name}]` : name;
    })
    .join(' ');
}

describe('a browser', () => {
  test('begins with the largest path open', () => expect(shown(browser())).toBe('[a] b c d e'));

  test('closes, goes to callers, opens and goes on', () => {
    const one = browser();
    one.move(1);
    one.leave();
    expect(shown(one)).toBe('a [b] e');
    one.leave();
    expect(shown(one)).toBe('[a] b e');
    one.leave();
    expect(shown(one)).toBe('[a] e');
    one.leave();
    expect(shown(one)).toBe('[a] e');
    one.enter();
    expect(shown(one)).toBe('[a] b e');
    one.enter();
    one.enter();
    one.enter();
    expect(shown(one)).toBe('a b [c] d e');
    one.enter();
    one.enter();
    expect(shown(one)).toBe('a b [c] d e');
  });

  test('opens a whole branch at once', () => {
    const one = browser();
    one.move(100);
    one.openBranch();
    expect(shown(one)).toBe('a b c d [e] d');
    one.toggle();
    expect(shown(one)).toBe('a b c d [e]');
    one.move(-100);
    expect(shown(one)).toBe('[a] b c d e');
  });

  test('finds what is closed, from the selected line on and round', () => {
    const one = browser();
    const find = (name: string) => one.find(({ frame }) => frame?.function === name);
    expect(find('d')).toBe(true);
    expect(shown(one)).toBe('a b c [d] e');
    expect(find('d')).toBe(true);
    expect(shown(one)).toBe('a b c d e [d]');
    expect(find('d')).toBe(true);
    expect(shown(one)).toBe('a b c [d] e d');
    expect(find('nobody')).toBe(false);
    expect(shown(one)).toBe('a b c [d] e d');
  });

  test('keeps the selected line within what is shown, and the end at the bottom', () => {
    const one = browser();
    expect(one.topOf(2)).toBe(0);
    one.move(3);
    expect(one.topOf(2)).toBe(2);
    one.move(-1);
    expect(one.topOf(2)).toBe(2);
    one.move(-1);
    expect(one.topOf(2)).toBe(1);
    expect(one.topOf(100)).toBe(0);
  });

  test('of nothing has no lines, and keys do nothing', () => {
    const options = { isInverted: false, hidesInternals: false, biggest: 10 };
    const one = new TreeBrowser(callTree(reportOf([]), options));
    for (const key of ['enter', 'leave', 'toggle', 'openBranch'] as const) one[key]();
    one.move(1);
    expect([one.lines, one.selected, one.topOf(5)]).toEqual([[], 0, 0]);
  });
});
