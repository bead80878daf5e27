/** `memdrift flamegraph` and `report`: captures as pages. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CaptureReport } from '../capture/capture_model.ts';
import { type ErrorCode, isMemdriftError, MemdriftError } from '../errors.ts';
import { pageData } from '../report/page_data.ts';
import { pageHtml } from '../report/page_html.ts';
import type { IndexData, PageData } from '../report/page_model.ts';
import { groupOf, indexProcess } from '../report/run_index.ts';
import {
  besideCapture,
  type ChoiceFlags,
  checkFree,
  momentOf,
  type OutputFlags,
  readChosen,
  withChoice,
} from './choice.ts';
import { writeOutput } from './output.ts';
import { exitCodes, writeError } from './program.ts';

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
    .description('a page per capture of a run, and an index of them on one axis of time')
    .argument('<folder>', 'where the captures are')
    .option('-o, --output <folder>', 'where the pages go (default: beside the captures)')
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
    splitThreads: flags.splitThreads === true,
    isInverted: flags.inverted === true,
  });
  writePage(to, 'capture', data);
  return report;
}

async function report(folder: string, flags: PageFlags): Promise<void> {
  const names = capturesIn(folder);
  const output = flags.output ?? folder;
  mkdirSync(output, { recursive: true });
  const index = join(output, 'index.html');
  // Before the work of all captures, not after.
  checkFree(index, flags);
  const processes: IndexData['processes'][number][] = [];
  for (const name of names) {
    tellProgress(`${name} (${processes.length + 1} of ${names.length})`);
    const href = pageOf(name);
    const one = await pageUnlessUnreadable(join(folder, name), join(output, href), flags);
    if (one !== null) processes.push(indexProcess(one, href));
  }
  tellProgress('');
  if (processes.length === 0) return;
  // As they began, and so parents before what they started: names put children first.
  processes.sort((a, b) => (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0));
  const group = groupIn(folder);
  writePage(index, 'index', { title: basename(resolve(folder)), processes, group });
  process.stdout.write(`${index}\n`);
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
async function pageUnlessUnreadable(
  file: string,
  to: string,
  flags: PageFlags,
): Promise<CaptureReport | null> {
  try {
    return await writeCapturePage(file, to, flags);
  } catch (error) {
    tellProgress('');
    if (!isMemdriftError(error) || !unreadable.includes(error.code)) throw error;
    writeError(error.message);
    process.exitCode = exitCodes.failed;
    return null;
  }
}

function capturesIn(folder: string): readonly string[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((one) => one.endsWith('.mdc')) : [];
  if (names.length > 0) return names.sort();
  throw new MemdriftError(
    'ERR_GONE',
    `${folder} has no captures (*.mdc); memdrift run writes them, and so does the experiment`,
  );
}

/** The experiment measures all of its processes, also those that it makes no captures of. */
function groupIn(folder: string): IndexData['group'] {
  const file = join(folder, 'group.jsonl');
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? groupOf(readFileSync(file, 'utf8')) : null;
}

function writePage(to: string, page: 'capture' | 'index', data: PageData | IndexData): void {
  const template = readFileSync(new URL(`../../dist/page/${page}.html`, import.meta.url), 'utf8');
  writeOutput(to, [pageHtml(template, data)]);
}

/** One line on a terminal, over the one before. */
function tellProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
