/** A capture's page as a user uses it, in Chromium. */
import { readFileSync, statSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageData } from '../../src/report/page_data.ts';
import { frameOf, randomReport } from '../made_reports.ts';
import { describeInBrowser, PageFolder, ready, textOf } from './browser.ts';
import { hostileNames, knownPage, knownReport } from './known_page.ts';

const pages = new PageFolder();
let file = '';

const said = (page: Page) => textOf(page, '#said');
const fragment = (page: Page) => new URL(page.url()).hash;
const rowPixels = 18;

/** Clicks the flamegraph's row at a part of its width. */
async function clickRow(page: Page, row: number, part: number): Promise<void> {
  const box = await page.locator('canvas.flame').boundingBox();
  const position = { x: part * (box?.width ?? 0), y: (row + 0.5) * rowPixels };
  await page.click('canvas.flame', { position });
}

async function keys(page: Page, ...names: string[]): Promise<void> {
  await page.focus('canvas.flame');
  for (const name of names) await page.keyboard.press(name);
}

/** Of the page's graph, in seconds. */
async function dragRange(page: Page, fromS: number, toS: number): Promise<void> {
  const box = await page.locator('.u-over').boundingBox();
  if (box === null) throw new Error('no graph');
  const lastLook = 5;
  const at = (seconds: number): number => box.x + (box.width * seconds) / lastLook;
  await page.mouse.move(at(fromS), box.y + 40);
  await page.mouse.down();
  await page.mouse.move(at(toS), box.y + 60, { steps: 4 });
  await page.mouse.up();
}

async function typeInto(page: Page, selector: string, text: string): Promise<void> {
  await page.click(selector, { clickCount: 3 });
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

test('a page is small before it has data', () => {
  for (const name of ['capture', 'index']) {
    const { size } = statSync(new URL(`../../dist/page/${name}.html`, import.meta.url));
    expect(size).toBeLessThan(400_000);
  }
});

describeInBrowser(() => {
  beforeAll(async () => {
    file = pages.write('known page.html', 'capture', knownPage());
    await pages.launch();
  });
  afterAll(() => pages.close());

  test('shows all, and says what has the focus', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    expect(await textOf(page, 'h1')).toBe('known: live at the peak');
    expect(await said(page)).toBe('all  1.00 kB, 100.0 %, 10 allocations');
    await keys(page, 'ArrowDown', 'ArrowDown');
    expect(await said(page)).toBe('load  /srv/app/load.js:12  900 B, 90.0 %, 9 allocations');
    await keys(page, 'ArrowRight');
    expect(await said(page)).toBe('keep  /srv/app/keep.js:1  100 B, 10.0 %, 1 allocations');
    await keys(page, 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'ArrowUp');
    expect(await said(page)).toMatch(/^main {2}/);
  });

  test('the tooltip has bytes, count and place', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await page.hover('canvas.flame', { position: { x: 100, y: 2.5 * rowPixels } });
    const tip = page.locator('#tip');
    expect(await tip.isVisible()).toBe(true);
    expect(await tip.textContent()).toBe('load\n/srv/app/load.js:12\n900 B, 90.0 %, 9 allocations');
    await page.mouse.move(5, 5);
    expect(await tip.isVisible()).toBe(false);
  });

  test('search says what is under what it finds, and / leads to it', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await page.keyboard.press('/');
    await page.keyboard.type('ALLOC');
    expect(await page.inputValue('#search')).toBe('ALLOC');
    expect(await textOf(page, '#found')).toBe('800 B, 80.0 % under 1 function');
    await page.fill('#search', 'load.js:12');
    expect(await textOf(page, '#found')).toBe('900 B, 90.0 % under 1 function');
    await page.waitForURL(/#search=load.js%3A12$/);
    await page.reload();
    await ready(page);
    expect(await textOf(page, '#found')).toBe('900 B, 90.0 % under 1 function');
    await page.fill('#search', '');
    expect(await textOf(page, '#found')).toBe('');
  });

  test('zoom by a click is in the address; reload keeps it, back and Escape leave it', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await clickRow(page, 2, 0.3);
    expect(await said(page)).toMatch(/^load /);
    expect(fragment(page)).toBe('#zoom=0.1');
    await clickRow(page, 3, 0.1);
    expect(await said(page)).toMatch(/^alloc .* 700 B/);
    expect(fragment(page)).toBe('#zoom=0.1.2');
    await page.reload();
    await ready(page);
    expect(await said(page)).toMatch(/^alloc .* 700 B/);
    await page.goBack();
    await expect.poll(() => said(page)).toMatch(/^load /);
    await page.goBack();
    await expect.poll(() => said(page)).toMatch(/^all /);
    await keys(page, 'ArrowDown', 'ArrowDown', 'Enter');
    expect(fragment(page)).toBe('#zoom=0.1');
    await keys(page, 'Escape');
    expect(await said(page)).toMatch(/^all /);
    expect(fragment(page)).toBe('');
  });

  test.each([
    ['#kinds input[name=buffer]', 'all  800 B, 100.0 %, 8 allocations'],
    ['#kinds input[name=malloc]', 'all  300 B, 100.0 %, 3 allocations'],
  ])('without %s', async (box, expected) => {
    await using open = await pages.open(file);
    const { page } = open;
    expect(await page.locator('#kinds label').allTextContents()).toEqual([
      'malloc 700 B',
      'buffer 200 B',
      'mmap 100 B',
    ]);
    await page.uncheck(box);
    expect(await said(page)).toBe(expected);
    await page.waitForURL(/#kinds=/);
    await page.reload();
    await ready(page);
    expect(await said(page)).toBe(expected);
  });

  test('filters of threads and functions', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await page.selectOption('#thread', { label: '7 worker' });
    expect(await said(page)).toBe('all  100 B, 100.0 %, 1 allocations');
    await page.selectOption('#thread', { label: 'all threads' });
    await page.selectOption('#frames', 'native');
    await keys(page, 'ArrowDown');
    expect(await said(page)).toMatch(/^alloc .* 800 B/);
    await page.selectOption('#frames', 'js');
    await keys(page, 'ArrowDown', 'ArrowDown', 'ArrowDown');
    expect(await said(page)).toMatch(/^node_fs .* 200 B/);
    await page.check('#internals');
    await keys(page, 'Home', 'ArrowDown', 'ArrowDown', 'ArrowDown');
    expect(await said(page)).toMatch(/^load .* 900 B/);
    await page.selectOption('#frames', 'mixed');
    await page.check('#inverted');
    await keys(page, 'ArrowDown');
    expect(await said(page)).toMatch(/^alloc .* 800 B/);
    await keys(page, 'ArrowDown');
    expect(await said(page)).toMatch(/^load .* 700 B/);
  });

  test('an icicle or a flame: the root above or below', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await clickRow(page, 0, 0.99);
    expect(await said(page)).toMatch(/^all /);
    await page.check('#below');
    await clickRow(page, 3, 0.99);
    expect(await said(page)).toMatch(/^main /);
    await keys(page, 'ArrowUp');
    expect(await said(page)).toMatch(/^load /);
  });

  test('a range shows what the timeline says grew in it', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    await dragRange(page, 1.2, 3.3);
    expect(await textOf(page, '#range')).toBe('What grew from 1.00 s to 3.00 s.');
    expect(await said(page)).toBe('all  600 B, 100.0 %, 6 allocations');
    await keys(page, 'ArrowDown', 'ArrowDown', 'ArrowDown');
    expect(await said(page)).toMatch(/^alloc .* 300 B, 50.0 %, 3 allocations/);
    await expect.poll(() => fragment(page)).toMatch(/range=1\d\d\d-3\d\d\d/);
    await page.reload();
    await ready(page);
    expect(await said(page)).toBe('all  600 B, 100.0 %, 6 allocations');
    await typeInto(page, '#to', '1.9');
    await typeInto(page, '#from', '0.5');
    expect(await textOf(page, '#range')).toBe('What grew from 0.00 s to 1.00 s.');
    expect(await said(page)).toBe('all  300 B, 100.0 %, 3 allocations');
    await page.click('#all');
    expect(await said(page)).toBe('all  1.00 kB, 100.0 %, 10 allocations');
    await dragRange(page, 1.2, 3.3);
    await page.dblclick('.u-over');
    expect(await said(page)).toBe('all  1.00 kB, 100.0 %, 10 allocations');
  });

  test('without a timeline a range is refused, and the graph is still there', async () => {
    const plain = pages.write('plain.html', 'capture', knownPage({ moments: [], changes: [] }));
    await using open = await pages.open(plain);
    const { page } = open;
    expect(await page.isVisible('#times')).toBe(false);
    await dragRange(page, 1, 3);
    expect(await textOf(page, '#range')).toContain('--temporal');
    expect(await said(page)).toMatch(/^all {2}1.00 kB/);
  });

  test('what was merged is counted', async () => {
    const options = { title: 'x', moment: 'end', leftOut: '', mostStacks: 1 } as const;
    const shape = { splitThreads: false, isInverted: false };
    const data = pageData(knownReport(), { ...options, ...shape });
    await using open = await pages.open(pages.write('merged.html', 'capture', data));
    const text = await textOf(open.page, '#merged');
    expect(text).toBe('2 smaller stacks, 300 B of all kinds, end at a caller.');
  });

  test('the series is a CSV file with all that the graph has', async () => {
    await using open = await pages.open(file);
    const [download] = await Promise.all([
      open.page.waitForEvent('download'),
      open.page.click('#csv'),
    ]);
    expect(download.suggestedFilename()).toBe('known.csv');
    const lines = readFileSync(await download.path(), 'utf8').split('\r\n');
    const { series } = knownReport();
    expect(lines[0]).toBe(
      'timeMs,rssAnonBytes,rssFileBytes,rssShmemBytes,heapTotalBytes,heapUsedBytes,' +
        'externalBytes,trackedBytes,mappedResidentBytes',
    );
    expect(lines.slice(1, -1).map((line) => line.split(',')[7])).toEqual(
      Array.from(series.tracked, String),
    );
    expect(lines[1]).toBe('0,30000000,40000000,5000000,8000000,5000000,1000000,4000000,');
  });

  test('a stack is copied as text, by the button and by a key', async () => {
    await using open = await pages.open(file, {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const { page } = open;
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await keys(page, 'ArrowDown', 'ArrowDown', 'c');
    const stack = '    load  /srv/app/load.js:12\n    main  /srv/app/main.js:1';
    await expect.poll(clipboard).toBe(`900 B live at the peak\n${stack}`);
    await keys(page, 'ArrowUp');
    await page.click('#copy');
    await expect
      .poll(clipboard)
      .toBe(`900 B live at the peak\n${stack.split('\n')[1]}`.replace('900 B', '1.00 kB'));
    expect(await said(page)).toBe('The stack is in the clipboard.');
  });

  test('everything is reached by Tab, and what has the focus is seen', async () => {
    await using open = await pages.open(file);
    const { page } = open;
    const reached: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      const [name, outline] = await page.evaluate(() => {
        const at = document.activeElement as HTMLElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(at);
        const name = at.id || at.getAttribute('name') || at.className || at.textContent || '';
        return [at === document.body ? '' : name, `${outlineStyle} ${outlineWidth}`] as const;
      });
      if (name === '' || reached.includes(name)) break;
      expect(outline, name).toMatch(/^(solid|auto) [1-9]/);
      reached.push(name);
    }
    expect(reached.filter((name) => !name.startsWith('RSS'))).toEqual([
      'theme',
      ...['tracked and live', 'of it mappings, resident', "V8's heap"],
      ...['csv', 'from', 'to', 'all', 'search', 'malloc', 'buffer', 'mmap', 'thread', 'frames'],
      ...['internals', 'inverted', 'below', 'reset', 'copy', 'flame'],
    ]);
    await page.focus('.u-series:nth-child(3) th');
    await page.keyboard.press('Enter');
    expect(await page.locator('.u-series.u-off').count()).toBe(1);
  });

  test.each(['dark', 'light'] as const)('%s as the system is, until it is told', async (scheme) => {
    await using open = await pages.open(file, { colorScheme: scheme });
    const { page } = open;
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const other = scheme === 'dark' ? 'light' : 'dark';
    const before = await paper();
    expect(await theme()).toBe(scheme);
    await page.click('#theme');
    expect(await theme()).toBe(other);
    expect(await paper()).not.toBe(before);
    await page.reload();
    await ready(page);
    expect(await theme()).toBe(other);
    await page.emulateMedia({ colorScheme: other });
    await page.emulateMedia({ colorScheme: scheme });
    expect(await theme()).toBe(other);
  });

  test('nothing of a capture is taken for HTML', async () => {
    const frames = hostileNames.map((name) => frameOf(name, { file: name }));
    const report = randomReport({ seed: 4, nodes: 40, rows: 40, frames });
    const [hostile = ''] = hostileNames;
    const data = pageData(
      {
        ...report,
        threads: [hostile, hostileNames[2] ?? ''],
        stats: { ...report.stats, argv: [hostile], damage: hostile, role: hostile },
        moments: report.moments.map((one) => ({ ...one, label: hostile })),
      },
      { title: hostile, moment: 'peak', leftOut: '', splitThreads: true, isInverted: false },
    );
    await using open = await pages.open(pages.write('hostile.html', 'capture', data));
    const { page } = open;
    expect(await page.title()).toBe(hostile);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.locator('script').count()).toBe(2);
    expect(await textOf(page, '#damage')).toContain(hostile);
    const options = await page.locator('#thread option').allTextContents();
    expect(options.slice(1)).toEqual(data.threads);
    for (const name of hostileNames) {
      await page.fill('#search', name);
      expect(await textOf(page, '#found')).toContain('under 1 function');
    }
    await page.hover('canvas.flame', { position: { x: 100, y: 1.5 * rowPixels } });
    const [shown] = (await textOf(page, '#tip')).split('\n');
    expect(hostileNames).toContain(shown);
    expect(await page.locator('img').count()).toBe(0);
  });
});
