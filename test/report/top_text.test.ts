/** A look at a group, as a screen of any size and as text. */
import { stripVTControlCharacters } from 'node:util';
import widthOf from 'string-width';
import { describe, expect, test } from 'vitest';
import { type TopScreenOptions, topScreen, topText } from '../../src/report/top_text.ts';
import { firstView } from '../../src/report/top_view.ts';
import { lookOf, segmentOf } from './made_look.ts';

const look = lookOf({
  processes: [
    {
      pid: 100,
      name: 'node',
      anon: 300,
      file: 50,
      shmem: 900,
      pss: 700,
      uss: 310,
      sharesAgeMs: 4900,
    },
    { pid: 101, parentPid: 100, name: '日本語のワーカー', anon: 100, file: 50, shmem: 900 },
    { pid: 102, parentPid: 101, name: 'b\x1b[2Ja\nd', anon: 10, file: 40, isDenied: true },
    { pid: 103, parentPid: 102, name: 'memdrift', anon: 50, pss: 50, uss: 50, sharesAgeMs: 7900 },
  ],
  footprint: 1200,
  segments: [
    segmentOf('/dev/shm/seg\x07ment', 900e6, { 100: 900, 101: 450 }),
    segmentOf('/dev/shm/gone', null),
  ],
  history: [
    { atMs: 0, rssBytes: 1200e6, footprintBytes: null },
    { atMs: 500, rssBytes: 2400e6, footprintBytes: 1200e6 },
  ],
  ended: 2,
});

const options: TopScreenOptions = {
  columns: 100,
  rows: 24,
  view: firstView,
  offset: 0,
  isPaused: false,
  showsHelp: false,
  message: '',
  color: false,
};

function screen(more: Partial<TopScreenOptions> = {}): readonly string[] {
  return topScreen(look, { ...options, ...more }).lines;
}

describe('a screen', () => {
  test('has the sums, what they were, the processes, and who maps which segment', () => {
    const lines = screen().map((line) => line.trimEnd());
    expect(lines.slice(0, 13)).toEqual([
      '4 processes of the tree of 1  by RSS  2 ended  5.0 s, own CPU 0.4 %',
      'sum of RSS     2400.0 MB  █████▒▒░░░░░░░░░░░░░░░░░░░░░  anon 460.0  file 140.0  ' +
        'shmem 1800.0',
      'footprint      1200.0 MB  ━━━━━━━━━━━━━━                RSS is 2.00 x it; each page ' +
        'once, estimated',
      'sum of PSS    ≥ 750.0 MB                                USS —  swap 0.0',
      'RSS, 0.5 s a mark         ▄█',
      'footprint, most 1200.0     ▄',
      '',
      '     PID    RSS MB       PSS       USS   as of  █anon ▒file ░shmem        name',
      '     100    1250.0     700.0     310.0     now  ██████▒░░░░░░░░░░░░░░░░░  node',
      '     101    1050.0         —         —       —  ██▒░░░░░░░░░░░░░░░░░      日本語のワーカー',
      '     102      50.0         —         —  denied  ▒                         b?[2Ja?d',
      '     103      50.0      50.0      50.0     5 s  █                         memdrift',
      '',
    ]);
    expect(lines.slice(-5)).toEqual([
      '',
      ' resident MB  segment: who maps it, PID and RSS MB',
      '       900.0  /dev/shm/seg?ment: 100 900.0, 101 450.0',
      '           —  /dev/shm/gone (deleted): nobody',
      'q quit  h help  space pause  t tree  / filter  r p u a f s sort',
    ]);
  });

  test.each([
    [200, 60],
    [80, 24],
    [79, 15],
    [60, 12],
    [45, 9],
    [30, 6],
    [20, 4],
    [10, 3],
    [7, 2],
    [1, 1],
  ])('fills %i x %i and no more', (columns, rows) => {
    for (const color of [true, false]) {
      for (const view of [firstView, { ...firstView, isTree: true, showsCommand: true }]) {
        for (const showsHelp of [true, false]) {
          const lines = screen({ columns, rows, color, view, showsHelp });
          expect(lines).toHaveLength(rows);
          const widest = Math.max(...lines.map((line) => widthOf(line)));
          expect(widest).toBeLessThanOrEqual(columns);
        }
      }
    }
  });

  test('is the same without colours, where shapes tell the parts of a bar apart', () => {
    const plain = screen({ color: true }).map(stripVTControlCharacters);
    expect(plain).toEqual(screen());
    expect(screen().join('')).not.toContain('\x1b');
  });

  test('on a low terminal shows processes first', () => {
    const lines = screen({ rows: 3 });
    expect(lines.map((line) => line.trim().split(' ')[0])).toEqual(['100', '101', '1-2']);
    expect(screen({ rows: 1 })[0]).toContain('node');
  });

  test('moves no further than to the last process', () => {
    const { lines, offset, bodyRows } = topScreen(look, { ...options, rows: 5, offset: 99 });
    expect({ offset, bodyRows }).toEqual({ offset: 2, bodyRows: 2 });
    expect(lines.at(-2)).toContain('103');
    expect(lines.at(-1)).toMatch(/^3-4 of 4/);
  });

  test('has branches in a tree, and of a deep one the innermost', () => {
    const view = { ...firstView, isTree: true };
    const names = screen({ view })
      .slice(8, 12)
      .map((line) => line.slice(-22).trim());
    expect(names.join('\n')).toContain('└─memdrift');
    const chain = Array.from({ length: 300 }, (_, i) => ({ pid: i + 1, parentPid: i, anon: 1 }));
    const { lines } = topScreen(lookOf({ processes: chain }), {
      ...options,
      view,
      offset: 290,
    });
    expect(lines.join('\n')).toMatch(/└─p300 *$/m);
  });

  test('says that it stands still, and what is being typed', () => {
    const lines = screen({
      isPaused: true,
      message: '/nod',
      view: { ...firstView, filter: 'nod' },
    });
    expect(lines[0]).toContain('PAUSED  1 with "nod"');
    expect(lines.at(-1)).toBe('/nod');
    expect(lines.filter((line) => /\bMB\b|node|日本/.test(line)).join('\n')).not.toContain('日本');
  });

  test('leaves segments that there is no room for, and counts them', () => {
    const segments = Array.from({ length: 9 }, (_, i) => segmentOf(`/dev/shm/s${i}`, i * 1e6));
    const { lines } = topScreen(lookOf({ processes: [{ pid: 7 }], segments }), options);
    expect(lines.slice(-6, -1).map((line) => line.trim())).toEqual([
      'resident MB  segment: who maps it, PID and RSS MB',
      '8.0  /dev/shm/s8: nobody',
      '7.0  /dev/shm/s7: nobody',
      '6.0  /dev/shm/s6: nobody',
      'and 6 smaller',
    ]);
  });

  test('a group of nobody is shown too', () => {
    const { lines } = topScreen(lookOf({ processes: [] }), options);
    expect(lines[0]).toMatch(/^0 processes/);
    expect(lines).toHaveLength(24);
  });
});

describe('text', () => {
  test('has every process whole', () => {
    const command = `node ${'x'.repeat(300)}`;
    const many = lookOf({
      processes: Array.from({ length: 70 }, (_, i) => ({ pid: i + 1, command, anon: i })),
    });
    const lines = topText(many, { ...firstView, showsCommand: true }).split('\n');
    expect(lines.filter((line) => line.endsWith(command))).toHaveLength(70);
    expect(lines.every((line) => line === line.trimEnd())).toBe(true);
  });

  test('is cut where the width is given', () => {
    const widest = topText(look, firstView, 50)
      .split('\n')
      .map((line) => widthOf(line));
    expect(Math.max(...widest)).toBeLessThanOrEqual(50);
  });
});
