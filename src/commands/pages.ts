/** `memdrift flamegraph` and `report`: captures, and logs of a watch, as pages. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CaptureReport } from '../capture/capture_model.ts';
import { type ErrorCode, isMemdriftError, MemdriftError } from '../errors.ts';
import { pageData } from '../report/page_data.ts';
import { pageHtml } from '../report/page_html.ts';
import type { IndexData, PageData } from '../report/page_model.ts';
import { groupOf, indexProcess } from '../report/run_index.ts';
import { leftOutText } from '../report/units.ts';
import { damageOf, type NamedLog, noticeOf, watchPage } from '../report/watch_page.ts';
import type { WatchData } from '../report/watch_page_model.ts';
import {
  besideCapture,
  type ChoiceFlags,
  checkFree,
  momentOf,
  type OutputFlags,
  readChosen,
  tellDamage,
  tellNotice,
  weightText,
  withChoice,
} from './choice.ts';
import { writeOutput } from './output.ts';
import { exitCodes, writeError } from './program.ts';
import { logsIn, readWatchLog } from './watch_pages.ts';

interface PageFlags extends ChoiceFlags, OutputFlags {
  readonly temporal?: true;
  readonly splitThreads?: true;
  readonly inverted?: true;
}

const timelineIntervals = 100;

/** Adds the commands. */
export function registerPages(program: Command): void {
  withPage(program.command('flamegraph'))
    .description('a page that shows where the memory of a capture is')
    .argument('<file>', 'a capture')
    .option('-o, --output <file>', 'the page (default: FILE with .html for .mdc)')
    .action(async (file: string, flags: PageFlags) => {
      const to = flags.output ?? besideCapture(file, 'html');
      await writeCapturePage(file, to, flags);
      process.stdout.write(`${to}\n`);
    });
  withPage(program.command('report'))
    .description('pages of a run: one per capture and their index, and one of logs of watch')
    .argument('<folder>', 'where captures and logs of memdrift watch are; or one log')
    .option('-o, --output <folder>', 'where the pages go (default: there); of one log the page')
    .action(report);
}

function withPage(command: Command): Command {
  return withChoice(command)
    .option('-f, --force', 'replace pages that are there')
    .option('--temporal', 'with what grew when: select a range in the graph')
    .option('--split-threads', 'threads apart')
    .option('--inverted', 'innermost functions first');
}

async function writeCapturePage(
  file: string,
  to: string,
  flags: PageFlags,
): Promise<CaptureReport> {
  checkFree(to, flags);
  const report = await readChosen(file, flags, {
    intervals: flags.temporal ? timelineIntervals : 0,
  });
  const data = pageData(report, {
    title: basename(file).replace(/\.mdc$/, ''),
    moment: momentOf(flags),
    leftOut: weightText(flags) + leftOutText([report.leftOutBytes], flags.tail),
    splitThreads: flags.splitThreads === true,
    isInverted: flags.inverted === true,
  });
  writePage({ to, page: 'capture', madeFrom: [file], flags }, data);
  return report;
}

async function report(path: string, flags: PageFlags): Promise<void> {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (isFile) await reportLog(path, flags);
  else await reportFolder(path, flags);
}

async function reportLog(file: string, flags: PageFlags): Promise<void> {
  const to = flags.output ?? file.replace(/(\.jsonl)?$/, '.html');
  checkFree(to, flags);
  const log = await readWatchLog(file);
  if (log === null)
    throw new MemdriftError(
      'ERR_MALFORMED',
      `${file} is no log of memdrift watch; memdrift report takes one, or a folder, and memdrift ` +
        'flamegraph makes the page of one capture',
    );
  tellLogEnd(file, log);
  const data = watchPage(basename(file), [{ file: basename(file), log }]);
  writePage({ to, page: 'watch', madeFrom: [file], flags }, data);
  process.stdout.write(`${to}\n`);
}

function tellLogEnd(file: string, log: NamedLog['log']): void {
  tellNotice(file, noticeOf(log));
  tellDamage(file, damageOf(log));
}

async function reportFolder(folder: string, flags: PageFlags): Promise<void> {
  const names = capturesIn(folder);
  const files = existsSync(folder) ? logsIn(folder) : [];
  const output = flags.output ?? folder;
  if (names.length + files.length > 0) mkdirSync(output, { recursive: true, mode: 0o700 });
  // Before the work of all captures, not after.
  if (names.length > 0) checkFree(join(output, 'index.html'), flags);
  const logs = await pageOfLogs(folder, { files, output, flags });
  if (names.length > 0) await pagesOfCaptures(folder, { names, output, flags, logs });
  if (names.length > 0 || logs !== null || process.exitCode === exitCodes.failed) return;
  throw new MemdriftError(
    'ERR_GONE',
    `${folder} has no captures (*.mdc) and no logs of memdrift watch (*.jsonl); memdrift run and ` +
      'the experiment write captures, memdrift watch --out a log',
  );
}

interface Captures {
  readonly names: readonly string[];
  readonly output: string;
  readonly flags: PageFlags;
  readonly logs: string | null;
}

async function pagesOfCaptures(folder: string, captures: Captures): Promise<void> {
  const { names, output, flags, logs } = captures;
  const index = join(output, 'index.html');
  const processes: IndexData['processes'][number][] = [];
  for (const name of names) {
    tellProgress(`${name} (${processes.length + 1} of ${names.length})`);
    const href = pageOf(name);
    const file = join(folder, name);
    const one = await unlessUnreadable(() => writeCapturePage(file, join(output, href), flags));
    if (one !== null) processes.push(indexProcess(one, href));
  }
  tellProgress('');
  if (processes.length === 0) return;
  // As they began, and so parents before what they started: names put children first.
  processes.sort((a, b) => (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0));
  const group = groupIn(folder);
  const title = basename(resolve(folder));
  const madeFrom = names.map((name) => join(folder, name));
  const data = { title, processes, group, ...(logs !== null && { logs }) };
  writePage({ to: index, page: 'index', madeFrom, flags }, data);
  process.stdout.write(`${index}\n`);
}

/** The name of the page; null: no log is there. */
async function pageOfLogs(
  folder: string,
  { files, output, flags }: { files: readonly string[]; output: string; flags: PageFlags },
): Promise<string | null> {
  const name = 'watch.html';
  const logs: NamedLog[] = [];
  for (const file of files) {
    const log = await unlessUnreadable(() => readWatchLog(join(folder, file)));
    if (log === null) continue;
    tellLogEnd(join(folder, file), log);
    logs.push({ file, log });
  }
  if (logs.length === 0) return null;
  const to = join(output, name);
  checkFree(to, flags);
  const madeFrom = logs.map(({ file }) => join(folder, file));
  const data = watchPage(basename(resolve(folder)), logs);
  writePage({ to, page: 'watch', madeFrom, flags }, data);
  process.stdout.write(`${to}\n`);
  return name;
}

/** The index has a name of its own, which a capture's page may not take. */
function pageOf(name: string): string {
  const page = besideCapture(name, 'html');
  return page === 'index.html' ? 'index.mdc.html' : page;
}

const unreadable: readonly ErrorCode[] = [
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
  'ERR_GONE',
  'ERR_DENIED',
];

/** Null, and told: of a process that was killed before it wrote anything, say. */
async function unlessUnreadable<Read>(read: () => Promise<Read>): Promise<Read | null> {
  try {
    return await read();
  } catch (error) {
    tellProgress('');
    if (!isMemdriftError(error) || !unreadable.includes(error.code)) throw error;
    writeError(error.message);
    process.exitCode = exitCodes.failed;
    return null;
  }
}

function capturesIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((one) => one.endsWith('.mdc'))
    .sort();
}

/** The experiment measures all of its processes, also those that it makes no captures of. */
function groupIn(folder: string): IndexData['group'] {
  const file = join(folder, 'group.jsonl');
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? groupOf(readFileSync(file, 'utf8')) : null;
}

type PageKind = 'capture' | 'index' | 'watch';

interface PagePlan {
  readonly to: string;
  readonly page: PageKind;
  readonly madeFrom: readonly string[];
  readonly flags: PageFlags;
}

function writePage(plan: PagePlan, data: PageData | IndexData | WatchData): void {
  const { to, page, madeFrom, flags } = plan;
  const template = readFileSync(new URL(`../../dist/page/${page}.html`, import.meta.url), 'utf8');
  writeOutput(to, [pageHtml(template, data)], { madeFrom, replaces: flags.force === true });
}

/** One line on a terminal, over the one before. */
function tellProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
