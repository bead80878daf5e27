/** The page of watch logs, in Chromium. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { watchPage } from '../../src/report/watch_page.ts';
import { beginOf, headerOf, knownLines, knownLog, logOf, startedAtMs } from '../report/made_log.ts';
import { describeInBrowser, PageFolder, textOf } from './browser.ts';
import { hostileNames } from './known_page.ts';

const pages = new PageFolder();

const cells = (rows: readonly string[]): string[][] =>
  rows.map((text) => text.split('\t').map((cell) => cell.trim()));

describeInBrowser(() => {
  beforeAll(() => pages.launch());
  afterAll(() => pages.close());

  test('one log: lines of each view, the limit, verdicts, processes with peaks', async () => {
    const data = watchPage('run', [{ file: 'run.jsonl', log: knownLog() }]);
    await using open = await pages.open(pages.write('watch.html', 'watch', data));
    const { page } = open;
    const legend = await page.locator('#graph .u-series th').allInnerTexts();
    // Nobody measured a cgroup.
    expect(legend).toEqual([
      'time',
      'sum of RSS',
      'sum of PSS',
      'footprint: each page once',
      "SLURM's default",
      "SLURM's NoShared",
      "SLURM's UsePss",
      'limit',
    ]);
    const [views, processes, facts] = await page.locator('#nodes table').all();
    expect(cells(await views!.locator('tr').allInnerTexts())).toEqual([
      ['view', 'peak', 'at', 'how exact', 'is between', 'limit of 500.00 MB'],
      [
        'sum of RSS',
        '600.00 MB',
        '0.20 s',
        'sampled',
        '600.00 MB to 600.00 MB',
        'kills, at 0.20 s, 100.00 MB over',
      ],
      ['footprint: each page once', '310.00 MB', '0.20 s', 'sampled', '-', '-'],
      [
        "SLURM's default",
        '600.00 MB',
        '0.20 s',
        'sampled',
        '200.00 MB to 620.00 MB',
        'too close to tell',
      ],
      ['cgroup', '-', '0.20 s', 'sampled', '-', '-'],
    ]);
    expect(cells(await processes!.locator('tr').allInnerTexts()).slice(1)).toEqual([
      ['python3', '', '4712', '444.00 MB', '250.00 MB', '0.00 s', '-', ''],
      ['ren\u2028amed', '', '4713', '200.00 MB', '100.00 MB', '0.15 s', '0.25 s', ''],
    ]);
    expect(await page.locator('#nodes li').allInnerTexts()).toHaveLength(1);
    expect(await facts!.textContent()).toContain('python3 x.py');
    expect(await page.locator('#graphs h2').allInnerTexts()).toHaveLength(2);
    await page.uncheck('[aria-label="show python3 4712"]');
    expect(await page.locator('#graphs h2').allInnerTexts()).toHaveLength(1);
    expect(await page.locator('.damage').count()).toBe(0);
  });

  test('several logs: their sum, and each on the same axis', async () => {
    const later = headerOf({ host: 'n2', startedAtMs: startedAtMs + 1000 });
    const second = logOf([later, ...knownLines.slice(1)]);
    const logs = [
      { file: 'a.jsonl', log: knownLog() },
      { file: 'b.jsonl', log: second },
    ];
    await using open = await pages.open(pages.write('job.html', 'watch', watchPage('job', logs)));
    const { page } = open;
    expect(await page.locator('#nodes h2').allInnerTexts()).toEqual(['n1', 'n2']);
    expect(await page.locator('#nodes .uplot').count()).toBe(2);
    expect(await textOf(page, '#nodes section:nth-child(2) .notice')).toMatch(/^not closed/);
    expect(await textOf(page, '#about')).toContain("sacct's MaxRSS is the highest peak of a task");
    const rows = cells(await page.locator('#views tr').allInnerTexts());
    expect(rows.slice(0, 2)).toEqual([
      ['view', 'highest of a node', 'sum of peaks', 'peak of the sum', 'at'],
      ['sum of RSS', '600.00 MB', '1.20 GB', '600.00 MB', '0.20 s'],
    ]);
    expect(rows.map(([view]) => view)).not.toContain('cgroup');
    expect(await page.locator('#graphs h2').allInnerTexts()).toContain('python3 4712 on n2');
  });

  test('nothing of a log is taken for HTML', async () => {
    const [name = ''] = hostileNames;
    const log = logOf([
      headerOf({ host: name, command: [name] }),
      beginOf(1, name),
      {
        type: 'summary',
        views: { sumRss: { peakBytes: 1, exactness: name, atMs: 1 } },
        verdicts: [{ view: 'sumRss', kills: name }],
        blindSpots: [{ kind: name, name, views: [name] }],
      },
    ]);
    const data = watchPage(name, [{ file: name, log }]);
    await using open = await pages.open(pages.write('hostile.html', 'watch', data));
    expect(await open.page.title()).toBe(name);
    expect(await open.page.locator('img').count()).toBe(0);
    expect(await textOf(open.page, '#nodes li')).toContain(name);
    expect(await open.page.locator('#nodes').textContent()).toContain(name);
  });

  test('a log of nothing but its header is a page', async () => {
    const data = watchPage('empty', [{ file: 'a.jsonl', log: logOf([headerOf()]) }]);
    await using open = await pages.open(pages.write('empty.html', 'watch', data));
    expect(await textOf(open.page, '#nodes .notice')).toMatch(/^not closed/);
  });
});
