/** The index of a run, in Chromium. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptureReport } from '../../src/capture/capture_model.ts';
import { endOf, onOneAxis, partOf, runsOf, sumsOf } from '../../src/page/run_sums.ts';
import type { IndexData } from '../../src/report/page_model.ts';
import { groupOf, indexProcess, looksThatMatter } from '../../src/report/run_index.ts';
import { describeInBrowser, PageFolder, textOf } from './browser.ts';
import { hostileNames, knownPage, knownReport } from './known_page.ts';

const pages = new PageFolder();
const startedAtMs = 1_700_000_000_000;

function process(name: string, more: Partial<CaptureReport['stats']> = {}): CaptureReport {
  const report = knownReport();
  return { ...report, stats: { ...report.stats, role: name, startedAtMs, ...more } };
}

/** Two processes, the second a second and a half later, of a group of three. */
function runOf(group: IndexData['group'] = null): IndexData {
  const later = { startedAtMs: startedAtMs + 1500, pid: 43, damage: 'at byte 9: cut' };
  const processes = [
    indexProcess(process('main'), 'main 1#.html'),
    indexProcess(process('child', later), 'child.html'),
  ];
  return { title: 'a run', processes, group };
}

/** The same twice, an hour apart. */
function twoRuns(): IndexData {
  const first = runOf().processes.map((one) => ({ ...one, run: '1-5' }));
  const second = runOf().processes.map((one) => ({
    ...one,
    run: '2-9',
    pid: one.pid + 10,
    startedAtMs: (one.startedAtMs ?? 0) + 3_600_000,
  }));
  return { title: 'two runs', processes: [...first, ...second], group: null };
}

const group = [
  '{"timeMs":1700000000500,"processes":1,"sumRssBytes":90000000,"footprintBytes":80000000}',
  'not JSON',
  'null',
  '{"timeMs":1700000007000,"processes":3,"sumRssBytes":190000000,"footprintBytes":null}',
  '{"timeMs":170000000',
].join('\n');

describe('sums', () => {
  test('each process counts from its first to its last look with what it last had', () => {
    const { timeMs, rss, estimate } = sumsOf(runOf().processes, startedAtMs);
    const at = (ms: number) => timeMs.lastIndexOf(ms);
    // At 30 + 40 + 5 MB each looks first; 2 + 1 MB come with each second.
    expect(rss[at(0)]).toBe(75e6);
    expect(rss[at(1500)]).toBe(78e6 + 75e6);
    expect(rss[at(2000)]).toBe(81e6 + 75e6);
    expect(estimate[at(2000)]).toBe(34e6 + 30e6 + 40e6 + 7e6);
    // The first was last seen at 5 s; afterwards the second is alone.
    expect(rss[at(5500)]).toBe(87e6);
    expect(endOf(runOf())).toBe(6500);
  });

  test('runs of one folder are apart, and what was measured of all is of none of them', () => {
    const data = twoRuns();
    expect(runsOf(data)).toEqual(['1-5', '2-9']);
    expect(partOf(data, '2-9').processes.map(({ pid }) => pid)).toEqual([52, 53]);
    expect(endOf(partOf(data, '2-9'))).toBe(6500);
    expect(partOf({ ...data, group: groupOf(group) }, '1-5').group).toBeNull();
    const one = { ...runOf(), group: groupOf(group) };
    expect(partOf(one, null)).toBe(one);
  });

  test('looks at different times share an axis', () => {
    const first = { timeMs: [0, 10, 20], columns: [[1, null, 3]] };
    const second = { timeMs: [5, 20], columns: [[7, 8]] };
    expect(onOneAxis([first, second])).toEqual({
      timeMs: [0, 5, 10, 20],
      columns: [
        [1, 1, null, 3],
        [null, 7, 7, 8],
      ],
    });
  });

  test('of many looks the highest stay, and the ends', () => {
    const bytes = Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 10_007);
    const looks = looksThatMatter(bytes, 100);
    expect(looks.length).toBeLessThanOrEqual(100);
    expect([looks[0], looks.at(-1)]).toEqual([0, 9999]);
    expect(looks).toContain(bytes.indexOf(Math.max(...bytes)));
    expect(looks).toEqual(looks.toSorted((a, b) => a - b));
    expect(looksThatMatter([3, 1, 2], 3)).toEqual([0, 1, 2]);
  });

  test("a group's lines that cannot be read are left out", () => {
    expect(groupOf(group)).toEqual({
      processes: 3,
      timeMs: [startedAtMs + 500, startedAtMs + 7000],
      sumRssBytes: [90e6, 190e6],
      footprintBytes: [80e6, null],
    });
    expect(groupOf('')).toBeNull();
  });
});

describeInBrowser(() => {
  beforeAll(() => pages.launch());
  afterAll(() => pages.close());

  test('a table of peaks leads to the pages', async () => {
    const file = pages.write('index.html', 'index', runOf());
    pages.write('main 1#.html', 'capture', knownPage());
    await using open = await pages.open(file);
    const { page } = open;
    const rows = await page.locator('#processes tr').allInnerTexts();
    expect(rows.map((text) => text.split('\t').map((cell) => cell.trim()))).toEqual([
      [
        ...['process', 'shown', 'pid', 'command', 'peak RSS', 'peak tracked', 'live at the end'],
        ...['events', ''],
      ],
      ['main', '', '42', 'node app.js', '90.00 MB', '20.00 MB', '500 B', '0', ''],
      [
        ...['child', '', '43', 'node app.js', '90.00 MB', '20.00 MB', '500 B', '0'],
        'damaged at byte 9: cut',
      ],
    ]);
    expect(await page.locator('#graphs section').count()).toBe(2);
    await page.click('#processes a');
    await page.waitForSelector('canvas.flame');
    expect(await textOf(page, 'h1')).toBe('known: live at the peak');
    await page.goBack();
    await page.click('#graphs h2 a');
    await page.waitForSelector('canvas.flame');
  });

  test('lists processes without a capture under the one that started them', async () => {
    const child = { name: 'esbuild', parentPid: 42, isNode: false, argv: ['esbuild', '--ping'] };
    const children = [
      { ...child, pid: 77, peakRssBytes: 31e6 },
      { ...child, pid: 78, peakRssBytes: 5e6, isNode: true },
    ];
    const processes = [indexProcess(process('main', { children }), 'main.html')];
    const file = pages.write('others.html', 'index', { title: 'a run', processes, group: null });
    await using open = await pages.open(file);
    const rows = await open.page.locator('#processes tr').allInnerTexts();
    const cells = rows.map((text) => text.split('\t').map((cell) => cell.trim()));
    expect(cells.slice(2)).toEqual([
      ['not Node', '', '77', 'esbuild --ping', 'at least 31.00 MB', '-', '-', '-', ''],
    ]);
  });

  test('shows one run at a time where a folder has several', async () => {
    await using open = await pages.open(pages.write('runs.html', 'index', twoRuns()));
    const { page } = open;
    const pids = () => page.locator('#processes tr td:nth-child(3)').allInnerTexts();
    expect(await pids()).toEqual(['42', '43']);
    const options = await page.locator('#runs option').allInnerTexts();
    expect(options).toEqual([
      'run 1 of 2: 2023-11-14T22:13:20 node app.js',
      'run 2 of 2: 2023-11-14T23:13:20 node app.js',
    ]);
    await page.selectOption('#runs', '1');
    expect(await pids()).toEqual(['52', '53']);
    expect(await page.locator('#graphs section').count()).toBe(2);
  });

  test('leads to what a watch saw, if there is a page of it', async () => {
    const file = pages.write('logs.html', 'index', { ...runOf(), logs: 'watch.html' });
    await using open = await pages.open(file);
    expect(await open.page.locator('#about a').getAttribute('href')).toBe('./watch.html');
  });

  test('processes can be left out', async () => {
    await using open = await pages.open(pages.write('choose.html', 'index', runOf()));
    const { page } = open;
    const legend = () => page.locator('#graph .u-series th').allInnerTexts();
    expect(await legend()).toContain('sum of RSS of the 2 chosen processes with captures');
    expect(await legend()).toContain('footprint, estimated');
    expect(await textOf(page, '#about')).toContain('estimated from the captures');
    await page.uncheck('[aria-label="show main 42"]');
    expect(await page.locator('#graphs h2').allInnerTexts()).toEqual(['child 43 node app.js']);
    expect(await legend()).toContain('sum of RSS of the one chosen process with captures');
    await page.uncheck('[aria-label="show child 43"]');
    expect(await page.locator('#graphs h2').count()).toBe(0);
  });

  test("a group's own footprint takes the estimate's place", async () => {
    await using open = await pages.open(pages.write('group.html', 'index', runOf(groupOf(group))));
    const legend = await open.page.locator('#graph .u-series th').allInnerTexts();
    expect(legend).toContain('footprint of all 3 processes');
    expect(legend).toContain('sum of RSS of all 3 processes');
    expect(legend).not.toContain('footprint, estimated');
    expect(await textOf(open.page, '#about')).toContain('each page once');
  });

  test('nothing of a capture is taken for HTML, nor a link for more than a file', async () => {
    const [name = ''] = hostileNames;
    const bad = process(name, { damage: name });
    const processes = [
      indexProcess(bad, 'javascript:alert(1)'),
      indexProcess({ ...bad, stats: { ...bad.stats, startedAtMs: null } }, 'https://example.com/'),
    ];
    const data = { title: name, processes, group: null };
    await using open = await pages.open(pages.write('hostile.html', 'index', data));
    const { page } = open;
    expect(await page.title()).toBe(name);
    expect(await page.locator('img').count()).toBe(0);
    const links = await page
      .locator('#processes a')
      .evaluateAll((all) => all.map((one) => (one as HTMLAnchorElement).protocol));
    expect(links).toEqual(['file:', 'file:']);
    expect(await textOf(page, '#processes a')).toBe(name);
  });
});
