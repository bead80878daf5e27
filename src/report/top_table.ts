/** The processes and the segments of `memdrift top`, a line each. */
import type { GroupSegment } from '../group/group_model.ts';
import type { TopProcess } from '../top/top_model.ts';
import { printable } from './printable.ts';
import { bar, barLegend, type Colors, cut, size, unknownMark } from './top_parts.ts';
import type { TopRow, TopView } from './top_view.ts';

/** Which columns there is room for; `before`: what they take, with the space before the name. */
export interface Layout {
  readonly hasPss: boolean;
  readonly hasUss: boolean;
  readonly hasAge: boolean;
  readonly barColumns: number;
  readonly before: number;
}

const numberColumns = 10;
const pidColumns = 8;
const ageColumns = 8;
const leastNameColumns = 15;
const leastBarColumns = 5;
const mostBarColumns = 30;

export function layoutOf(columns: number): Layout {
  const hasPss = columns >= 46;
  const hasUss = columns >= 56;
  const hasAge = columns >= 76;
  const numbers = 1 + Number(hasPss) + Number(hasUss);
  const taken = pidColumns + numbers * numberColumns + (hasAge ? ageColumns : 0) + 2;
  const room = columns - taken - leastNameColumns - 2;
  const wanted = Math.max(leastBarColumns, Math.min(mostBarColumns, Math.floor(room * 0.7)));
  const barColumns = room < leastBarColumns ? 0 : wanted;
  const before = taken + (barColumns === 0 ? 0 : barColumns + 2);
  return { hasPss, hasUss, hasAge, barColumns, before };
}

export interface Drawing {
  readonly layout: Layout;
  /** Of the whole line. */
  readonly columns: number;
  readonly view: TopView;
  readonly colors: Colors;
  /** What a whole bar is. */
  readonly mostBytes: number;
}

export function tableHead({ layout, columns, view, colors }: Drawing): string {
  const numbers = numbersLine(layout, ['PID', 'RSS MB', 'PSS', 'USS', 'as of']);
  if (columns <= layout.before) return cut(numbers, columns);
  const { barColumns } = layout;
  const legend = barColumns > 0 ? `  ${barLegend(colors, barColumns)}` : '';
  const name = view.showsCommand ? 'command' : 'name';
  return `${numbers}${legend}  ${cut(name, columns - layout.before)}`;
}

export function processLine({ process, branches }: TopRow, drawing: Drawing): string {
  const { layout, columns, colors, mostBytes, view } = drawing;
  const { pid, rssBytes, pssBytes, ussBytes, isSelf } = process;
  const sizes = [rssBytes, pssBytes, ussBytes].map(size) as [string, string, string];
  const numbers = numbersLine(layout, [String(pid), ...sizes, ageOf(process)]);
  const room = columns - layout.before;
  if (room <= 0) return cut(numbers, columns);
  const { barColumns } = layout;
  const bars =
    barColumns > 0 ? `  ${bar(process, { mostBytes, columns: barColumns, colors })}` : '';
  const branch = branchText(branches, room);
  const name = branch + cut(nameOf(process, view), room - branch.length);
  return `${numbers}${bars}  ${isSelf ? colors.dim(name) : name}`;
}

type Cells = readonly [pid: string, rss: string, pss: string, uss: string, age: string];

function numbersLine(layout: Layout, [pid, rss, pss, uss, ageText]: Cells): string {
  return (
    pid.padStart(pidColumns) +
    rss.padStart(numberColumns) +
    (layout.hasPss ? pss.padStart(numberColumns) : '') +
    (layout.hasUss ? uss.padStart(numberColumns) : '') +
    (layout.hasAge ? ageText.padStart(ageColumns) : '')
  );
}

/** When PSS and USS were looked up: RSS is of now. */
function ageOf({ sharesAgeMs, isDenied }: TopProcess): string {
  if (isDenied) return 'denied';
  return sharesAgeMs === null ? unknownMark : wholeAge(sharesAgeMs);
}

/** In steps: a line that changes at each look is written at each look, which is the most of all. */
function wholeAge(ms: number): string {
  const steps = [5, 10, 20, 30, 40, 50].findLast((s) => ms >= s * 1000);
  if (steps === undefined) return 'now';
  return ms < 60_000 ? `${steps} s` : `${Math.floor(ms / 60_000)} min`;
}

function nameOf({ name, command, isSelf }: TopProcess, { showsCommand }: TopView): string {
  const text = showsCommand && command !== null ? command : name;
  return printable(text) + (isSelf ? ' (this one)' : '');
}

/** Of a deep tree the innermost branches, so that room is left for the name. */
function branchText(branches: readonly boolean[], room: number): string {
  const most = Math.floor(room / 4);
  const shown = most === 0 ? [] : branches.slice(-most);
  const own = shown.length - 1;
  return shown
    .map((goesOn, i) => (i === own ? (goesOn ? '├─' : '└─') : goesOn ? '│ ' : '  '))
    .join('');
}

export const segmentHead = ' resident MB  segment: who maps it, PID and RSS MB';

export function segmentLine({ name, deleted, residentBytes, holders }: GroupSegment): string {
  const who = holders.map(({ pid, rssBytes }) => `${pid} ${size(rssBytes)}`);
  const text = `${deleted ? ' (deleted)' : ''}: ${who.join(', ') || 'nobody'}`;
  return `${size(residentBytes).padStart(12)}  ${printable(name)}${text}`;
}
