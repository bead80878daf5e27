/** The page of a run: all its processes on one axis of time. */
import type { IndexData } from '../report/page_model.ts';
import { colourOf, layersOf, plot } from './graph.ts';
import { beginOf, endOf, onOneAxis, partOf, runsOf, sumsOf, timesOf } from './run_sums.ts';
import { followTheme } from './theme.ts';
import { bytesText } from './units.ts';

type Process = IndexData['processes'][number];

const find = <E extends HTMLElement>(selector: string): E => document.querySelector(selector) as E;
const data = JSON.parse(find('#data').textContent ?? '') as IndexData;
/** Processes of different runs have no time in common, and no sum. */
let shown: IndexData;
let beginMs: number;
let axis: { readonly endMs: number; readonly syncKey: string };
const smallHeight = 130;
/** In the order of the processes. */
const boxes: HTMLInputElement[] = [];
let drawn: { destroy(): void }[] = [];

function drawAll(): void {
  for (const one of drawn) one.destroy();
  find('#graphs').replaceChildren();
  drawn = [drawSums(find('#graph'))];
  shown.processes.forEach((process, i) => {
    if (boxes[i]!.checked) drawn.push(drawProcess(process));
  });
}

/** What was measured of the whole group stands there whatever is chosen of it. */
function drawSums(place: HTMLElement): { destroy(): void } {
  const chosen = shown.processes.filter((_, i) => boxes[i]!.checked);
  const sums = sumsOf(chosen, beginMs);
  const { group } = shown;
  const parts = [{ timeMs: sums.timeMs, columns: [sums.rss, sums.estimate] }];
  if (group !== null) {
    const timeMs = group.timeMs.map((ms) => ms - beginMs);
    const columns = [group.sumRssBytes, group.footprintBytes] as number[][];
    parts.push({ timeMs, columns });
  }
  const { timeMs, columns } = onOneAxis(parts);
  const [rss = [], estimate = [], groupRss = [], footprint = []] = columns;
  const line = (label: string, colour: string, values: readonly (number | null)[]) => ({
    label,
    colour: colourOf(colour),
    values,
  });
  const ours = line(`sum of RSS of ${countOf(chosen)} with captures`, '--shmem', rss);
  const lines =
    group === null
      ? [ours, { ...line('footprint, estimated', '--tracked', estimate), isDashed: true }]
      : [
          line(`sum of RSS of all ${group.processes} processes`, '--ink', groupRss),
          line(`footprint of all ${group.processes} processes`, '--tracked', footprint),
          ours,
        ];
  return plot(place, { timeMs, lines, ...axis });
}

function countOf({ length }: readonly Process[]): string {
  return length === 1 ? 'the one chosen process' : `the ${length} chosen processes`;
}

function aboutText(): string {
  const rss = 'A sum of RSS has shared pages once for each process.';
  return shown.group === null
    ? `${rss} The footprint is estimated from the captures: all anonymous pages, and of file and ` +
        'of shared pages those of the process that has most, as if the others had the same.'
    : `${rss} The footprint has each page once, also of processes without a capture; between ` +
        'full looks at their mappings it is estimated.';
}

function drawProcess(process: Process): { destroy(): void } {
  const place = document.createElement('section');
  const heading = document.createElement('h2');
  heading.append(linkTo(process), ` ${process.pid} ${process.command ?? ''}`);
  const canvas = document.createElement('div');
  place.append(heading, canvas);
  find('#graphs').append(place);
  const { series } = process;
  const tracked = {
    label: 'tracked and live',
    colour: colourOf('--tracked'),
    values: series.tracked,
  };
  return plot(canvas, {
    timeMs: timesOf(process, beginMs),
    lines: [...layersOf(series), tracked],
    height: smallHeight,
    hidesLegend: true,
    ...axis,
  });
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

function linkTo({ name, href }: Process): HTMLAnchorElement {
  const link = document.createElement('a');
  link.textContent = name;
  // Whatever the data say, it is a file beside this one.
  link.href = `./${href}`;
  return link;
}

function boxFor({ name, pid }: Process): HTMLInputElement {
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.checked = true;
  box.ariaLabel = `show ${name} ${pid}`;
  box.addEventListener('change', drawAll);
  boxes.push(box);
  return box;
}

/** Makes the row of a process without a capture. */
function otherRow({ pid, command, peakRssBytes }: Process['others'][number]): HTMLTableRowElement {
  const cells = ['not Node', '', String(pid), command, `at least ${bytesText(peakRssBytes)}`];
  return row([...cells, '-', '-', '-', ''], 'td');
}

function fillTable(): void {
  boxes.length = 0;
  const names = [
    'process',
    'shown',
    'pid',
    'command',
    'peak RSS',
    'peak tracked',
    'live at the end',
    'events',
  ];
  const head = row([...names, ''], 'th');
  const rows = shown.processes.flatMap((one) => [
    row(
      [
        linkTo(one),
        boxFor(one),
        String(one.pid),
        one.command ?? '-',
        one.peakRssBytes === null ? '-' : bytesText(one.peakRssBytes),
        bytesText(one.peakTrackedBytes),
        bytesText(one.leakedBytes),
        one.events.toLocaleString('en-US'),
        one.damage === null ? (one.notice ?? '') : `damaged ${one.damage}`,
      ],
      'td',
    ),
    ...one.others.map(otherRow),
  ]);
  find('#processes').replaceChildren(head, ...rows);
}

function showRun(run: string | null): void {
  shown = partOf(data, run);
  beginMs = beginOf(shown);
  axis = { endMs: endOf(shown), syncKey: 'run' };
  find('#about').textContent = aboutText();
  if (data.logs !== undefined) {
    const link = document.createElement('a');
    link.textContent = 'what memdrift watch saw of it';
    link.href = `./${data.logs}`;
    find('#about').append(' ', link);
  }
  fillTable();
}

/** Offers the runs where there are several. */
function chooseRun(runs: readonly (string | null)[]): void {
  const choice = find<HTMLSelectElement>('#runs');
  choice.hidden = false;
  runs.forEach((run, i) => {
    const { processes } = partOf(data, run);
    const { command, startedAtMs } = processes[0]!;
    const time = startedAtMs === null ? '' : new Date(startedAtMs).toISOString().slice(0, 19);
    const text = run === null ? 'captures of no run' : `${time} ${command ?? ''}`;
    choice.add(new Option(`run ${i + 1} of ${runs.length}: ${text}`, String(i)));
  });
  choice.addEventListener('change', () => {
    showRun(runs[choice.selectedIndex]!);
    drawAll();
  });
}

document.title = data.title;
find('h1').textContent = data.title;
const runs = runsOf(data);
if (runs.length > 1) chooseRun(runs);
showRun(runs[0] ?? null);
followTheme(find('#theme'), drawAll);
drawAll();
let waiting: ReturnType<typeof setTimeout> | undefined;
addEventListener('resize', () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 100);
});
document.documentElement.dataset.ready = 'yes';
