/** Pages in a real browser. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { describe, expect } from 'vitest';
import { pageHtml } from '../../src/report/page_html.ts';
import type { IndexData, PageData } from '../../src/report/page_model.ts';
import type { WatchData } from '../../src/report/watch_page_model.ts';

const path = process.env.MEMDRIFT_CHROMIUM ?? '/usr/bin/chromium';

/** Tests in a browser. Where there is none it says so, once per file; with CI set they fail. */
export function describeInBrowser(tests: () => void): void {
  if (existsSync(path) || process.env.CI) describe('in a browser', tests);
  else process.stderr.write(`not run: ${path} is not there; MEMDRIFT_CHROMIUM names another\n`);
}

type PageKind = 'capture' | 'index' | 'watch';

export class PageFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-pages-'));
  #browser: Browser | null = null;

  async launch(): Promise<void> {
    this.#browser = await chromium.launch({
      executablePath: path,
      args: [
        '--no-sandbox',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
        '--disable-quic',
      ],
    });
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    rmSync(this.folder, { recursive: true });
  }

  write(name: string, kind: PageKind, data: PageData | IndexData | WatchData): string {
    const template = readFileSync(new URL(`../../dist/page/${kind}.html`, import.meta.url), 'utf8');
    const file = join(this.folder, name);
    writeFileSync(file, pageHtml(template, data));
    return file;
  }

  /** A page that is not ours: nothing is expected of it, and its context is the caller's. */
  async openForeign(address: string): Promise<Page> {
    if (this.#browser === null) throw new Error('launch was not awaited');
    const page = await this.#browser.newPage();
    page.setDefaultTimeout(10_000);
    const [file = '', fragment = ''] = address.split('#');
    await page.goto(`${pathToFileURL(file).href}#${fragment}`);
    return page;
  }

  /** A page that is ready; it fails the test if it reports an error or asks for anything. */
  async open(address: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
    if (this.#browser === null) throw new Error('launch was not awaited');
    const viewport = { width: 1200, height: 900 };
    const context = await this.#browser.newContext({ viewport, ...options });
    context.setDefaultTimeout(5000);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('request', (request) => {
      if (!/^(file|blob|data):/.test(request.url())) complaints.push(request.url());
    });
    const [file, fragment] = address.split('#') as [string, string | undefined];
    await page.goto(`${pathToFileURL(file).href}${fragment === undefined ? '' : `#${fragment}`}`);
    await ready(page);
    const close = async (): Promise<void> => {
      await context.close();
      expect(complaints).toEqual([]);
    };
    return { page, [Symbol.asyncDispose]: close };
  }
}

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
}

export async function ready(page: Page): Promise<void> {
  await page.waitForSelector('html[data-ready=yes]');
}

export async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.textContent(selector)) ?? '';
}
