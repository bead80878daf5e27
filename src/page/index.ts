/** The page of a run: all its processes on one axis of time. */
import type { IndexData } from '../report/page_model.ts';
import { bytesText } from './bytes.ts';
import { plot } from './graph.ts';
import { followTheme } from './theme.ts';

const find = <E extends HTMLElement>(selector: string): E => document.querySelector(selector) as E;
const data = JSON.parse(find('#data').textContent ?? '') as IndexData;

/** All their looks in one order, and each process's RSS where it looked. */
function onOneAxis(): { timeMs: number[]; columns: (number | null)[][] } {
  const begin = Math.min(...data.processes.map(({ startedAtMs }) => startedAtMs));
  const looks = data.processes.flatMap(({ startedAtMs, timeMs, rssBytes }, process) =>
    timeMs.map((ms, i) => ({ at: startedAtMs - begin + (ms ?? 0), process, rss: rssBytes[i] })),
  );
  looks.sort((a, b) => a.at - b.at);
  const columns = data.processes.map(() => new Array<number | null>(looks.length).fill(null));
  looks.forEach(({ process, rss }, i) => {
    columns[process]![i] = rss ?? null;
  });
  // Between its first and its last look a process has what it had.
  for (const column of columns) {
    const last = column.findLastIndex((value) => value !== null);
    for (let i = 1; i < last; i++) column[i] ??= column[i - 1]!;
  }
  return { timeMs: looks.map(({ at }) => at), columns };
}

function colour(i: number): string {
  return `hsl(${(i * 137) % 360} 65% 50%)`;
}

function draw(place: HTMLElement): { destroy(): void } {
  const { timeMs, columns } = onOneAxis();
  const sum = timeMs.map((_, i) => columns.reduce((all, column) => all + (column[i] ?? 0), 0));
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
  const lines = [
    { label: 'sum of RSS (shared pages once for each process)', colour: ink, values: sum },
    ...data.processes.map(({ name }, i) => ({
      label: name,
      colour: colour(i),
      values: columns[i]!,
    })),
  ];
  return plot(place, { timeMs, lines, marks: [], onSelect: () => {} });
}

function row(cells: readonly (string | Node)[], tag: 'th' | 'td'): HTMLTableRowElement {
  const made = document.createElement('tr');
  for (const cell of cells) {
    const one = document.createElement(tag);
    one.append(cell);
    made.append(one);
  }
  return made;
}

function linkTo(name: string, href: string): HTMLAnchorElement {
  const link = document.createElement('a');
  link.textContent = name;
  link.href = href;
  return link;
}

document.title = data.title;
find('h1').textContent = data.title;
const table = find('#processes');
const names = ['process', 'pid', 'peak RSS', 'peak tracked', 'live at the end', 'events', ''];
table.append(row(names, 'th'));
for (const one of data.processes) {
  const cells = [
    linkTo(one.name, one.href),
    String(one.pid),
    one.peakRssBytes === null ? '-' : bytesText(one.peakRssBytes),
    bytesText(one.peakTrackedBytes),
    bytesText(one.leakedBytes),
    one.events.toLocaleString('en-US'),
    one.damage === null ? '' : 'cut off',
  ];
  table.append(row(cells, 'td'));
}
let drawn: { destroy(): void } | null = null;
const redraw = (): void => {
  drawn?.destroy();
  drawn = draw(find('#graph'));
};
followTheme(find('#theme'), redraw);
redraw();
document.documentElement.dataset.ready = 'yes';
