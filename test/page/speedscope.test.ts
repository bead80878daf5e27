/** What speedscope's own page makes of our profiles. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { speedscopeOf } from '../../src/report/exports.ts';
import { describeInBrowser, PageFolder } from './browser.ts';
import { knownReport } from './known_page.ts';

const pages = new PageFolder();
const its = fileURLToPath(
  new URL('../../node_modules/speedscope/dist/release/index.html', import.meta.url),
);

test('the page that is opened is its own', () => {
  expect(readFileSync(its, 'utf8')).toContain('speedscope');
});

describeInBrowser(() => {
  beforeAll(() => pages.launch());
  afterAll(() => pages.close());

  test('it opens them, and lists our functions with our bytes', async () => {
    const profile = JSON.stringify(speedscopeOf(knownReport(), 'known'));
    // As its command does it: a script that hands the file over.
    const script = join(pages.folder, 'profile.js');
    const content = JSON.stringify(Buffer.from(profile).toString('base64'));
    writeFileSync(script, `speedscope.loadFileFromBase64("known.json", ${content})`);
    const page = await pages.openForeign(`${its}#localProfilePath=${script}`);
    await page.getByText('Sandwich').click();
    // Of each function what is under it, and what it holds itself.
    const table = async (): Promise<Record<string, string>> => {
      const rows = await page.locator('tr').allInnerTexts();
      const cells = rows.slice(1).map((row) => row.split('\t').map((cell) => cell.trim()));
      return Object.fromEntries(
        cells.map(([total, self, name]) => [name, `${total} ${self}`.replaceAll(/ \(.*?\)/g, '')]),
      );
    };
    await expect.poll(table).toEqual({
      ...{ main: '1000 B 0 B', load: '900 B 0 B', alloc: '800 B 800 B', keep: '100 B 0 B' },
      ...{ node_fs: '200 B 0 B', read: '200 B 200 B' },
      ...{ '[malloc]': '700 B 0 B', '[buffer]': '200 B 0 B', '[mmap]': '100 B 0 B' },
    });
    await page.context().close();
  });
});
