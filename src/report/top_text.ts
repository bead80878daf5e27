/** `memdrift top`: a look at a group as a screen of any size, or whole as text. */
import pc from 'picocolors';
import type { GroupSegment } from '../group/group_model.ts';
import type { TopModel } from '../top/top_model.ts';
import { historyLines, titleLine, totalLines } from './top_head.ts';
import { type Colors, cut } from './top_parts.ts';
import {
  type Drawing,
  layoutOf,
  processLine,
  segmentHead,
  segmentLine,
  tableHead,
} from './top_table.ts';
import { type TopView, topRows } from './top_view.ts';

export interface TopScreenOptions {
  readonly columns: number;
  readonly rows: number;
  readonly view: TopView;
  /** The first process that is shown; one that is too far is moved. */
  readonly offset: number;
  readonly isPaused: boolean;
  /** Which keys there are, in the place of the processes. */
  readonly showsHelp: boolean;
  /** The last line: what is being typed; empty: the most important keys. */
  readonly message: string;
  readonly color: boolean;
}

export interface TopScreen {
  /** As many as the terminal has rows, none wider than its columns. */
  readonly lines: readonly string[];
  /** The first process that is shown, and how many there is room for. */
  readonly offset: number;
  readonly bodyRows: number;
}

const firstKeys = 'q quit  h help  space pause  t tree  / filter  r p u a f s sort';

/** A look as a screen. */
export function topScreen(model: TopModel, options: TopScreenOptions): TopScreen {
  const { columns, rows: height, showsHelp, message } = options;
  const colors = pc.createColors(options.color);
  const rows = topRows(model.processes, options.view);
  const above = linesAbove(model, options, { colors, shown: rows.length });
  const below = showsHelp ? [] : segmentLines(model.segments, options, colors);
  const bodyRows = Math.max(0, height - above.length - below.length - (height > 1 ? 1 : 0));
  const offset = Math.max(0, Math.min(options.offset, rows.length - bodyRows));
  const drawing = drawingOf(model, { columns, view: options.view, colors });
  const body = showsHelp
    ? helpLines.slice(0, bodyRows).map((line) => cut(line, columns))
    : rows.slice(offset, offset + bodyRows).map((row) => processLine(row, drawing));
  while (body.length < bodyRows) body.push('');
  const part = { offset, bodyRows, rows: rows.length };
  const last = message === '' ? colors.dim(cut(keysText(part), columns)) : cut(message, columns);
  const lines = [...above, ...body, ...below, ...(height > 1 ? [last] : [])];
  return { lines, offset, bodyRows };
}

/** All of it, with a newline at its end; what is wider than `columns` is cut, if they are given. */
export function topText(model: TopModel, view: TopView, columns?: number): string {
  const colors = pc.createColors(false);
  const rows = topRows(model.processes, view);
  const width = columns ?? Number.MAX_SAFE_INTEGER;
  const layout = layoutOf(columns ?? textColumns);
  const drawing = { ...drawingOf(model, { columns: width, view, colors }), layout };
  const lines = [
    titleLine(model, { view, shown: rows.length, isPaused: false }),
    ...totalLines(model, { columns: columns ?? textColumns, colors }),
    '',
    tableHead(drawing),
    ...rows.map((row) => processLine(row, drawing)),
  ];
  const { segments } = model;
  if (segments.length > 0) lines.push('', segmentHead, ...bySize(segments).map(segmentLine));
  return lines.map((line) => `${cut(line, width).trimEnd()}\n`).join('');
}

/** Where the width is not that of a terminal. */
const textColumns = 100;

function drawingOf(
  model: TopModel,
  place: { readonly columns: number; readonly view: TopView; readonly colors: Colors },
): Drawing {
  const mostBytes = model.processes.reduce(
    (most, { rssBytes }) => Math.max(most, rssBytes ?? 0),
    0,
  );
  return { ...place, layout: layoutOf(place.columns), mostBytes };
}

/** The lower the terminal, the less of it: processes come first. */
function linesAbove(
  model: TopModel,
  options: TopScreenOptions,
  { colors, shown }: { readonly colors: Colors; readonly shown: number },
): readonly string[] {
  const { columns, rows: height, view, isPaused } = options;
  const title = colors.bold(cut(titleLine(model, { view, shown, isPaused }), columns));
  const head = colors.bold(tableHead(drawingOf(model, { columns, view, colors })));
  return [
    ...(height > 4 ? [title] : []),
    ...(height > 9 ? totalLines(model, { columns, colors }) : []),
    ...(height > 15 ? historyLines(model, { columns, colors }) : []),
    ...(height > 9 ? [''] : []),
    ...(height > 3 ? [head] : []),
  ];
}

function segmentLines(
  segments: readonly GroupSegment[],
  { columns, rows: height, view }: TopScreenOptions,
  colors: Colors,
): readonly string[] {
  const most = Math.floor(height / 4) - 2;
  if (segments.length === 0 || !view.showsSegments || most < 1) return [];
  const shown = bySize(segments).slice(0, segments.length > most ? most - 1 : most);
  const more = segments.length - shown.length;
  return [
    '',
    colors.bold(cut(segmentHead, columns)),
    ...shown.map((segment) => cut(segmentLine(segment), columns)),
    ...(more === 0 ? [] : [colors.dim(cut(`${' '.repeat(14)}and ${more} smaller`, columns))]),
  ];
}

function bySize(segments: readonly GroupSegment[]): readonly GroupSegment[] {
  return [...segments].sort((a, b) => (b.residentBytes ?? 0) - (a.residentBytes ?? 0));
}

function keysText({
  offset,
  bodyRows,
  rows,
}: Record<'offset' | 'bodyRows' | 'rows', number>): string {
  if (rows <= bodyRows) return firstKeys;
  return `${offset + 1}-${Math.min(rows, offset + bodyRows)} of ${rows}  ${firstKeys}`;
}

const helpLines: readonly string[] = [
  'Order, the largest first:',
  '  r RSS   p PSS   u USS   a anonymous   f file   s shared memory   w swap   i PID   n name',
  '  R turns it round',
  '',
  '  t      children below their parents        c      names or commands',
  '  /      filter by name, command or PID      g      segments, and who maps them',
  '         (Enter keeps it, Esc drops it)      space  pause: as it was, and keys still work',
  '  ↑ ↓ PgUp PgDn Home End  move               q      quit (Ctrl-Z: to the shell)',
  '',
  'RSS counts a page once for each process that maps it; PSS is its share of them, USS what is',
  'of it alone. They are looked up as often as the budget of CPU time lets us: "as of" says when;',
  'since then PSS is moved as RSS moved. The footprint has each page once: PSS, and what segments',
  'in /dev/shm have that nobody maps.',
];
