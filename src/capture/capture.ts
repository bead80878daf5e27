/** Captures as files: what is in one, read on the pool in bounded memory. */
import { binding } from '../binding.ts';
import type { NativeCaptureStats } from '../door_tracker.ts';
import { MemdriftError } from '../errors.ts';
import { SourceMaps } from './source_maps.ts';

/** What `memdrift stats --json` prints; sizes in bytes. */
export interface CaptureStats extends Omit<NativeCaptureStats, 'info'> {
  /** What the process was in its program; null: the capture does not say. */
  readonly role: string | null;
  readonly nodeVersion: string | null;
  readonly argv: readonly string[] | null;
}

/**
 * Reads all records once. A capture that is cut or damaged gives what stands before the damage, and
 * `damage` says where and why.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED (not a capture, or of a version that
 * this reader does not know).
 */
export async function readCaptureStats(path: string): Promise<CaptureStats> {
  const { info, ...stats } = await binding().captureStats(checkedPath(path));
  return { ...stats, ...knownInfo(info) };
}

/** One function of a stack. */
export interface Frame {
  readonly function: string;
  /** Of JavaScript the script, as V8 names it; of native code the object. */
  readonly file: string;
  /** Where the function's definition begins; null: not known. */
  readonly functionLine: number | null;
  /** The line that was executing; null: not known, or the capture was made without `lines`. */
  readonly line: number | null;
  /** Of the function's definition; null: not known. */
  readonly column: number | null;
  readonly native: boolean;
  /** Compiled into the function that called it; only captures with `lines` tell. */
  readonly inlined: boolean;
}

export const allocationKinds = [
  'malloc',
  'buffer',
  'mmap',
  'file',
  'shm',
  'stack',
  'jsheap',
] as const;
export type AllocationKind = (typeof allocationKinds)[number];

/** What one stack of one thread held. */
export interface TableRow {
  readonly bytes: number;
  /** Of allocations; null: V8 does not tell how many objects it has (kind jsheap). */
  readonly count: number | null;
  readonly kind: AllocationKind;
  /** Its id and name. */
  readonly thread: string;
  /** Innermost first. */
  readonly stack: readonly Frame[];
}

export interface CaptureTable {
  /** Of malloc, buffer and mmap: their rows add up to it. */
  readonly totalBytes: number;
  /** Largest first. */
  readonly rows: readonly TableRow[];
  readonly stats: CaptureStats;
}

/** A moment of a timeline: at equal distances, at a mark, or the peak. */
export interface Moment {
  readonly timeMs: number;
  readonly label: string | null;
  readonly isPeak: boolean;
}

/** By how much a row of the table changed since the moment before. */
export interface RowChange {
  readonly moment: number;
  readonly row: number;
  readonly bytes: number;
  readonly count: number;
}

/** Columns of equal length, a row per look at the process; NaN: not known. Sizes in bytes. */
export interface MemorySeries {
  readonly timeMs: Float64Array;
  readonly rssAnon: Float64Array;
  readonly rssFile: Float64Array;
  readonly rssShmem: Float64Array;
  readonly heapTotal: Float64Array;
  readonly heapUsed: Float64Array;
  readonly external: Float64Array;
  /** Live, of what is tracked. */
  readonly tracked: Float64Array;
}

export interface CaptureReport extends CaptureTable {
  readonly series: MemorySeries;
  /** Empty where no intervals were asked for. */
  readonly moments: readonly Moment[];
  readonly changes: readonly RowChange[];
}

export interface ReportOptions {
  /** The peak, the end, or all that was freed soon; default peak. */
  readonly moment?: 'peak' | 'end' | 'temporary';
  /** Temporary is what is freed before its thread has made more than so many others; default 1. */
  readonly temporaryThreshold?: number;
  /** Moments of the timeline beside marks and the peak, which costs a second pass; default 0. */
  readonly intervals?: number;
}

/**
 * What stacks held at the peak or, with `leaks`, at the end of the capture. Places in scripts that
 * have a source map are places in the source.
 * @throws as readCaptureStats.
 */
export async function readCaptureTable(
  path: string,
  options: { readonly leaks?: boolean } = {},
): Promise<CaptureTable> {
  const moment = options.leaks === true ? 'end' : 'peak';
  const { totalBytes, rows, stats } = await readCaptureReport(path, { moment });
  return { totalBytes, rows, stats };
}

/**
 * What stacks held, the process's memory over time, and with `intervals` what changed when.
 * @throws as readCaptureStats.
 */
export async function readCaptureReport(
  path: string,
  options: ReportOptions = {},
): Promise<CaptureReport> {
  const { moment = 'peak', temporaryThreshold = 1, intervals = 0 } = options;
  const table = await binding().captureTable(checkedPath(path), {
    moment,
    temporaryThreshold: moment === 'temporary' ? temporaryThreshold : 0,
    intervals,
  });
  const maps = new SourceMaps();
  const frames: readonly Frame[] = table.frames.map((frame) => maps.apply(frame));
  const rows = table.rows.map(({ stack, kind, ...row }) => ({
    ...row,
    kind: kind as AllocationKind,
    stack: Array.from(stack, (number) => frames[number] as Frame),
  }));
  const { info, ...stats } = table.stats;
  return {
    totalBytes: table.totalBytes,
    rows,
    stats: { ...stats, ...knownInfo(info) },
    series: seriesOf(table.series),
    moments: (table.timeline?.moments ?? []).map(({ label, ...rest }) => ({
      ...rest,
      label: label === '' ? null : label,
    })),
    changes: changesOf(table.timeline?.changes ?? new Float64Array()),
  };
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
    tracked: column('tracked_bytes'),
  };
}

const numbersPerChange = 4;

function changesOf(numbers: Float64Array): readonly RowChange[] {
  return Array.from({ length: numbers.length / numbersPerChange }, (_, i) => {
    const [moment = 0, row = 0, bytes = 0, count = 0] = numbers.subarray(i * numbersPerChange);
    return { moment, row, bytes, count };
  });
}

/** Every record as a line of text, in pieces of about 64 KiB. @throws as readCaptureStats. */
export async function* captureText(path: string): AsyncGenerator<string> {
  const handle = binding().captureTextOpen(checkedPath(path));
  for (;;) {
    const text = await binding().captureTextNext(handle);
    if (text === null) return;
    yield text;
  }
}

function knownInfo(text: string): Pick<CaptureStats, 'role' | 'nodeVersion' | 'argv'> {
  try {
    const { role, nodeVersion, argv } = JSON.parse(text) as Record<string, unknown>;
    return {
      role: typeof role === 'string' ? role : null,
      nodeVersion: typeof nodeVersion === 'string' ? nodeVersion : null,
      argv: Array.isArray(argv) ? argv.map(String) : null,
    };
  } catch {
    return { role: null, nodeVersion: null, argv: null };
  }
}

function checkedPath(path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw new MemdriftError('ERR_INVALID', `${String(path)} is not the path of a capture`);
}
