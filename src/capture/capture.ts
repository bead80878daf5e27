/** Captures as files: what is in one, read on the pool in bounded memory. */

import { withOwnRow } from '../analysis/own_rows.ts';
import { tableRows } from '../analysis/report_rows.ts';
import { sizeBins } from '../analysis/size_bins.ts';
import { binding } from '../binding.ts';
import type { NativeCaptureStats } from '../door_tracker.ts';
import { MemdriftError } from '../errors.ts';
import { maskedArguments } from '../secrets.ts';
import type {
  AllocationKind,
  CaptureReport,
  CaptureStats,
  CaptureTable,
  MemorySeries,
  ReportOptions,
} from './capture_model.ts';
import { isTracked } from './running.ts';
import { SourceMaps } from './source_maps.ts';

/**
 * Reads all records once. A damaged capture gives the records before the damage, and `damage` says
 * where and why. A capture of a killed process is not damaged: `ending` says that it was killed.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED (not a capture), ERR_UNSUPPORTED (of a
 * version that this reader does not know).
 */
export async function readCaptureStats(
  path: string,
  options: Pick<ReportOptions, 'committed'> = {},
): Promise<CaptureStats> {
  const { committed = false } = options;
  return statsOf(await binding().captureStats(checkedPath(path), committed));
}

/**
 * Returns what stacks held at the peak or, with `leaks`, at the end of the capture. With
 * `committed`, mappings count by usable bytes instead of resident ones. Places in scripts that have
 * a source map are places in the source. Cost: each row has its whole stack; for captures with very
 * many, `readCaptureReport` has columns instead.
 * @throws as readCaptureStats.
 */
export async function readCaptureTable(
  path: string,
  options: { readonly leaks?: boolean; readonly committed?: boolean } = {},
): Promise<CaptureTable> {
  const { leaks = false, committed = false } = options;
  return tableOf(await readCaptureReport(path, { moment: leaks ? 'end' : 'peak', committed }));
}

/** A report with its rows one by one. */
export function tableOf(report: CaptureReport): CaptureTable {
  const { totalBytes, stats } = report;
  return { totalBytes, rows: tableRows(report), stats };
}

/**
 * What stacks held, the process's memory over time, and with `intervals` what changed when. Sizes
 * in bytes, times in ms since the capture began. Cost: a pass over the file, with `intervals` two.
 * @throws as readCaptureStats; ERR_INVALID for options that are no whole numbers, or too small.
 */
export async function readCaptureReport(
  path: string,
  options: ReportOptions = {},
): Promise<CaptureReport> {
  const { moment = 'peak', temporaryThreshold = 1, all = false, joinThreads = false } = options;
  const { intervals = 0, tailPercent = 0, committed = false } = options;
  checkNumber('intervals', intervals, 0);
  checkNumber('temporaryThreshold', temporaryThreshold, 1);
  checkTail(tailPercent, moment);
  const table = await binding().captureTable(checkedPath(path), {
    moment,
    temporaryThreshold: moment === 'temporary' ? temporaryThreshold : 0,
    all,
    intervals,
    tailPercent,
    joinThreads,
    committed,
  });
  const maps = new SourceMaps();
  return withOwnRow({
    totalBytes: table.totalBytes,
    leftOutBytes: table.leftOutBytes,
    frames: table.frames.map((frame) => maps.apply(frame)),
    stacks: table.stacks,
    threads: table.threads,
    kinds: table.kinds as AllocationKind[],
    rows: table.rows,
    stats: statsOf(table.stats),
    series: seriesOf(table.series),
    moments: (table.timeline?.moments ?? []).map(({ label, ...rest }) => ({
      ...rest,
      label: label === '' ? null : label,
    })),
    changes: table.timeline?.changes ?? new Float64Array(),
  });
}

function statsOf({ info, sizeClasses, ...stats }: NativeCaptureStats): CaptureStats {
  const ending = stats.ending ?? (isTracked(stats.pid) ? 'running' : 'killed');
  const children = stats.children
    .map((child) => ({ ...child, argv: maskedArguments(child.argv) }))
    .sort((a, b) => b.peakRssBytes - a.peakRssBytes);
  return { ...stats, ending, children, sizes: sizeBins(sizeClasses), ...knownInfo(info) };
}

function seriesOf(columns: Record<string, Float64Array>): MemorySeries {
  const column = (name: string): Float64Array => columns[name] ?? new Float64Array();
  return {
    timeMs: column('timeMs'),
    rssAnon: column('rss_anon_bytes'),
    rssFile: column('rss_file_bytes'),
    rssShmem: column('rss_shmem_bytes'),
    heapTotal: column('heap_total_bytes'),
    heapUsed: column('heap_used_bytes'),
    external: column('external_bytes'),
    mappedResident: column('mapped_resident_bytes'),
    tracked: column('tracked_bytes'),
  };
}

/** Every record as a line of text, in pieces of about 64 KiB. @throws as readCaptureStats. */
export async function* captureText(path: string): AsyncGenerator<string> {
  const handle = binding().captureTextOpen(checkedPath(path));
  for (;;) {
    const text = await binding().captureTextNext(handle);
    if (text === null) return;
    yield text.replace(/^info .*$/m, maskedInfo);
  }
}

/** Returns the line of a capture's first frame with secrets in the command line masked. */
function maskedInfo(line: string): string {
  try {
    const info = JSON.parse(line.slice('info '.length)) as Record<string, unknown>;
    for (const name of ['argv', 'execArgv'])
      if (Array.isArray(info[name])) info[name] = maskedArguments(info[name].map(String));
    return `info ${JSON.stringify(info)}`;
  } catch {
    return line;
  }
}

type InfoField = 'role' | 'run' | 'nodeVersion' | 'startedAtMs' | 'argv';

function knownInfo(text: string): Pick<CaptureStats, InfoField> {
  try {
    const info = JSON.parse(text) as Record<string, unknown>;
    const { role, run, nodeVersion, startedAtMs, argv } = info;
    return {
      role: typeof role === 'string' ? role : null,
      run: typeof run === 'string' ? run : null,
      nodeVersion: typeof nodeVersion === 'string' ? nodeVersion : null,
      startedAtMs: typeof startedAtMs === 'number' ? startedAtMs : null,
      argv: Array.isArray(argv) ? maskedArguments(argv.map(String)) : null,
    };
  } catch {
    return { role: null, run: null, nodeVersion: null, startedAtMs: null, argv: null };
  }
}

/** @throws MemdriftError ERR_INVALID for what is no path. */
export function checkedPath(path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw new MemdriftError('ERR_INVALID', `${String(path)} is not the path of a capture`);
}

function checkTail(percent: number, moment: NonNullable<ReportOptions['moment']>): void {
  checkNumber('tailPercent', percent, 0);
  if (percent > 99) {
    throw new MemdriftError('ERR_INVALID', `tailPercent is ${percent}; it takes at most 99`);
  }
  if (percent > 0 && moment !== 'end') {
    const message = `tailPercent is for what is live at the end, not for the ${moment}`;
    throw new MemdriftError('ERR_INVALID', message);
  }
}

/** @throws MemdriftError ERR_INVALID for what is no whole number from `least` on, or too large. */
export function checkNumber(name: string, value: unknown, least: number): void {
  const isWhole = typeof value === 'number' && Number.isInteger(value);
  if (isWhole && value >= least && value < 2 ** 31) return;
  const message = `${name} is ${String(value)}; it takes a whole number from ${least}`;
  throw new MemdriftError('ERR_INVALID', message);
}
