/** `memdrift live`: what a running program holds now, and under which stacks. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { joinedRows, withoutInternals } from '../analysis/internals.ts';
import { largestRows } from '../analysis/report_rows.ts';
import { readCaptureReport } from '../capture/capture.ts';
import type { CaptureStats } from '../capture/capture_model.ts';
import { captureOfProcess } from '../capture/running.ts';
import { MemdriftError } from '../errors.ts';
import { printable } from '../report/printable.ts';
import { tableText } from '../report/table_text.ts';
import { doubtText, numberFrom1 } from './choice.ts';

interface LiveFlags {
  readonly rows: number;
  readonly interval?: string;
  readonly once?: true;
  readonly hideInternals?: true;
}

/** Reading a capture takes at most this part of the time. */
const shareOfTime = 0.2;
const clearScreen = '\x1b[H\x1b[2J';

/** Adds `memdrift live`. */
export function registerLive(program: Command): void {
  program
    .command('live')
    .description('what a program that is tracked holds now; on a terminal, again and again')
    .argument('<pid|file>', 'the process, or its capture')
    .option('-n, --rows <count>', 'this many of the largest stacks', numberFrom1, 5)
    .option('--interval <s>', 'between two looks (default: 1)')
    .option('--hide-internals', "by the program's functions only")
    .option('--once', 'one look, which is all that a pipe or a file gets')
    .action(live);
}

async function live(target: string, flags: LiveFlags): Promise<void> {
  const intervalMs = intervalMsOf(flags.interval ?? '1');
  const file = /^\d+$/.test(target) ? captureOfProcess(Number(target)) : target;
  const isOnce = flags.once === true || !process.stdout.isTTY;
  for (;;) {
    const start = performance.now();
    const report = await readCaptureReport(file, { moment: 'end' });
    const { stats } = report;
    const runs = stats.ending === 'running';
    const shown = flags.hideInternals ? joinedRows(withoutInternals(report)) : report;
    const head = { what: `live now${doubtText(stats)}`, options: '--rows' };
    const body = Array.from(tableText(largestRows(shown, flags.rows), head)).join('');
    const text = `${headOf(stats, runs)}\n${body}`;
    process.stdout.write(isOnce ? text : clearScreen + topOf(text));
    if (isOnce || !runs) return;
    const tookMs = performance.now() - start;
    await sleep(Math.max(intervalMs, tookMs / shareOfTime));
  }
}

/** What fits on the screen: the largest are first, and must not scroll away. */
function topOf(text: string): string {
  const { rows: height, columns: width } = process.stdout;
  const lines = text.split('\n').map((line) => line.slice(0, width));
  return lines.length <= height ? lines.join('\n') : lines.slice(0, height - 1).join('\n');
}

function headOf(stats: CaptureStats, runs: boolean): string {
  const after = `${(stats.durationMs / 1000).toFixed(1)} s`;
  const events = stats.events.toLocaleString('en-US');
  const state = runs ? 'running' : 'ended';
  const role = printable(stats.role ?? 'process');
  return `${role} ${stats.pid}, ${state}, ${events} events in ${after}`;
}

function intervalMsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new MemdriftError('ERR_INVALID', `--interval is ${text}; it takes a number above 0`);
}
