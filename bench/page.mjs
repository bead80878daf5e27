// A page of a capture with a million stacks: how long it takes to make, and a browser to open.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { pageData } from '../dist/report/page_data.js';
import { pageHtml } from '../dist/report/page_html.js';

export const title = 'a page of a million stacks';

const browserPath = process.env.MEMDRIFT_CHROMIUM ?? '/usr/bin/chromium';

function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Stacks of about 25 functions, each leaving another one at a depth of its own. */
function syntheticTree(count, random) {
  const parent = [0];
  const frame = [0];
  const leaves = new Set();
  let path = [];
  while (leaves.size < count) {
    const from = Math.floor(random() * path.length);
    const depth = 15 + Math.floor(random() * 20);
    path = path.slice(0, Math.min(from, depth - 1));
    while (path.length < depth) {
      const node = parent.push(path.at(-1) ?? 0) - 1;
      frame.push(Math.floor(random() ** 2 * 20_000));
      path.push(node);
    }
    leaves.add(path.at(-1));
  }
  return { parent: Uint32Array.from(parent), frame: Uint32Array.from(frame), leaves: [...leaves] };
}

function frames(count) {
  return Array.from({ length: count }, (_, i) => ({
    function: `${i % 3 === 0 ? 'ns::Class::method' : 'someFunctionName'}${i}`,
    file: i % 3 === 0 ? '/usr/lib/libexample.so' : `/srv/app/lib/module_${i >> 5}.js`,
    functionLine: i % 500,
    line: null,
    column: 1,
    native: i % 3 === 0,
    inlined: false,
  }));
}

function syntheticReport(count) {
  const random = randomFrom(1);
  const { parent, frame, leaves } = syntheticTree(count, random);
  const bytes = Float64Array.from(leaves, () => Math.ceil(random() ** 8 * 1e6))
    .sort()
    .reverse();
  const looks = Float64Array.from({ length: 3000 }, (_, i) => i * 100);
  const megabytes = (most) => looks.map((ms) => most * 1e6 * (1 + Math.sin(ms / 2e4)));
  return {
    totalBytes: bytes.reduce((sum, one) => sum + one, 0),
    frames: frames(20_000),
    stacks: { parent, frame },
    threads: ['1 main'],
    kinds: ['malloc', 'buffer', 'mmap', 'file', 'shm', 'stack', 'jsheap'],
    rows: {
      bytes,
      count: bytes.map((one) => 1 + (one % 100)),
      node: Uint32Array.from(leaves),
      thread: new Uint32Array(count),
      kind: Uint32Array.from(leaves, (node) => node % 3),
    },
    stats: {
      ...{ events: 4 * count, droppedRecords: 0, sampleBytes: 0, durationMs: 3e5, damage: null },
      ...{ peakBytes: 1e9, leakedBytes: 1e8, pid: 1, role: 'main', argv: ['node'] },
      ...{ nodeVersion: process.version, startedAtMs: 0 },
    },
    series: {
      ...{ timeMs: looks, rssAnon: megabytes(300), rssFile: megabytes(40) },
      ...{ rssShmem: megabytes(100), heapTotal: megabytes(50), heapUsed: megabytes(40) },
      ...{ external: megabytes(60), mappedResident: megabytes(90), tracked: megabytes(200) },
    },
    moments: [],
    changes: new Float64Array(),
  };
}

function makePage(report, file, isInverted) {
  const options = { title: 'bench', moment: 'peak', splitThreads: false, isInverted };
  const template = readFileSync(new URL('../dist/page/capture.html', import.meta.url), 'utf8');
  const begin = performance.now();
  const data = pageData(report, options);
  writeFileSync(file, pageHtml(template, data));
  return { ms: performance.now() - begin, data };
}

/** From the address to what can be used, in a new page. */
async function openPage(browser, file) {
  const page = await browser.newPage();
  const begin = performance.now();
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector('html[data-ready=yes]');
  return { page, ms: performance.now() - begin };
}

/** From a click to the picture after it. */
async function toggleMs(page, selector) {
  return page.evaluate(async (wanted) => {
    const begin = performance.now();
    document.querySelector(wanted).click();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - begin;
  }, selector);
}

async function measure(context, browser, file) {
  const opened = await context.medianOf(5, async () => {
    const { page, ms } = await openPage(browser, file);
    await page.close();
    return ms;
  });
  context.row({ what: 'open the page', ours: opened, unit: 'ms', budget: { atMost: 3000 } });
  const { page } = await openPage(browser, file);
  for (const [what, selector] of [
    ['a kind off or on', '#kinds input'],
    ["Node's own hidden or not", '#internals'],
    ['upside down or not', '#inverted'],
  ]) {
    const ours = await context.medianOf(6, () => toggleMs(page, selector));
    context.row({ what, ours, unit: 'ms', budget: { atMost: 500 } });
  }
  await page.close();
}

export async function run(context) {
  if (!existsSync(browserPath)) {
    context.skip('the page', `${browserPath} is not there; name one by MEMDRIFT_CHROMIUM`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
  });
  try {
    const report = syntheticReport(context.small ? 20_000 : 1_000_000);
    const file = join(folder, 'page.html');
    const { ms, data } = makePage(report, file, false);
    context.row({ what: 'make the page', ours: ms, unit: 'ms' });
    context.row({ what: 'its size', ours: statSync(file).size / 1e6, unit: 'MB' });
    context.text(
      `${data.nodes.up.length} functions in stacks, ${data.merged.stacks} stacks merged, ` +
        `of ${report.stacks.parent.length} functions`,
    );
    await measure(context, browser, file);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}
