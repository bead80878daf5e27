/** Pieces of a line of `memdrift top`: text of a given width, bars, and a graph of one line. */
import type pc from 'picocolors';
import stringWidth from 'string-width';
import type { TopMoment } from '../top/top_model.ts';

export type Colors = ReturnType<typeof pc.createColors>;

const letters = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Cut at the end where it is wider than `columns`, as terminals count: some letters take two. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return '';
  // Most text is this, and the right way for the rest takes a hundred times as long.
  if (/^[ -~]*$/.test(text))
    return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
  if (stringWidth(text) <= columns) return text;
  let short = '';
  let width = 1;
  for (const { segment } of letters.segment(text)) {
    width += stringWidth(segment);
    if (width > columns) break;
    short += segment;
  }
  return `${short}…`;
}

/** What is not known: the PSS of a process that is somebody else's, or was not looked at yet. */
export const unknownMark = '—';

/** Megabytes of 10^6 bytes with one decimal. */
export function size(bytes: number | null): string {
  return bytes === null ? unknownMark : (bytes / 1e6).toFixed(1);
}

/** What RSS is of; where the kernel does not split it, only `rssBytes` is known. */
export interface SplitBytes {
  readonly rssBytes: number | null;
  readonly rssAnonBytes: number | null;
  readonly rssFileBytes: number | null;
  readonly rssShmemBytes: number | null;
}

/** How each part is drawn: by its shape too, since not every terminal has colours. */
export const barMarks = { anon: '█', file: '▒', shmem: '░', unsplit: '·' } as const;

type BarPart = keyof typeof barMarks;

function inColor(part: BarPart, text: string, colors: Colors): string {
  if (text === '') return '';
  if (part === 'anon') return colors.green(text);
  if (part === 'file') return colors.yellow(text);
  return part === 'shmem' ? colors.blue(text) : colors.dim(text);
}

/** The three marks with their names, for a head. */
export function barLegend(colors: Colors, columns: number): string {
  const parts = (['anon', 'file', 'shmem'] as const).map((part) => ({ part, text: part }));
  const width = parts.reduce((sum, { text }) => sum + text.length + 2, -1);
  if (width > columns) return cut('anon file shmem', columns).padEnd(columns);
  const text = parts.map((one) => inColor(one.part, barMarks[one.part], colors) + one.text);
  return text.join(' ') + ' '.repeat(columns - width);
}

/** As long as RSS is beside `mostBytes`, which fills `columns`. */
export function bar(
  split: SplitBytes,
  { mostBytes, columns, colors }: { mostBytes: number; columns: number; colors: Colors },
): string {
  const { rssBytes, rssAnonBytes, rssFileBytes, rssShmemBytes } = split;
  const known = [rssAnonBytes, rssFileBytes, rssShmemBytes].map((bytes) => bytes ?? 0);
  const rest = Math.max(0, (rssBytes ?? 0) - known.reduce((sum, bytes) => sum + bytes, 0));
  const columnOf = (bytes: number): number =>
    mostBytes <= 0 ? 0 : Math.min(columns, Math.round((bytes / mostBytes) * columns));
  let text = '';
  let bytes = 0;
  let used = 0;
  // Ends are rounded, not lengths, so that the whole is as long as the sum.
  for (const [i, part] of (['anon', 'file', 'shmem', 'unsplit'] as const).entries()) {
    bytes += [...known, rest][i] as number;
    const end = columnOf(bytes);
    text += inColor(part, barMarks[part].repeat(end - used), colors);
    used = end;
  }
  return text + ' '.repeat(columns - used);
}

const heights = '▁▂▃▄▅▆▇█';
/** Time that a column of a graph may stand for. */
const columnSeconds = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600];

export interface HistoryColumns {
  readonly columnMs: number;
  /** The most of each column's time; null: nothing was known then. Oldest first. */
  readonly rssBytes: readonly (number | null)[];
  readonly footprintBytes: readonly (number | null)[];
}

/** All moments on at most `columns` columns, whose limits stay where they are as time goes on. */
export function historyColumns(history: readonly TopMoment[], columns: number): HistoryColumns {
  const last = history.at(-1)?.atMs ?? 0;
  const first = history[0]?.atMs ?? 0;
  const fits = (ms: number): boolean => Math.floor(last / ms) - Math.floor(first / ms) < columns;
  const longest = (columnSeconds.at(-1) as number) * 1000;
  const columnMs = columnSeconds.map((s) => s * 1000).find(fits) ?? longest;
  const begin = Math.floor(first / columnMs);
  const length = Math.floor(last / columnMs) - begin + 1;
  const column = (of: (moment: TopMoment) => number | null): (number | null)[] => {
    const most = new Array<number | null>(length).fill(null);
    for (const moment of history) {
      const i = Math.floor(moment.atMs / columnMs) - begin;
      const bytes = of(moment);
      if (bytes !== null) most[i] = Math.max(most[i] ?? 0, bytes);
    }
    return most.slice(-columns);
  };
  return {
    columnMs,
    rssBytes: column(({ rssBytes }) => rssBytes),
    footprintBytes: column(({ footprintBytes }) => footprintBytes),
  };
}

/** A mark per column, from nothing to `mostBytes`; a space where nothing is known. */
export function sparkline(column: readonly (number | null)[], mostBytes: number): string {
  const marks = column.map((bytes) => {
    if (bytes === null || mostBytes <= 0) return ' ';
    const height = Math.round((bytes / mostBytes) * heights.length) - 1;
    return heights[Math.min(heights.length - 1, Math.max(0, height))];
  });
  return marks.join('');
}
