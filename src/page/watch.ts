/** The page of watch logs: what the group had over time, by every accountant, and who had it. */
import {
  type SeriesView,
  seriesViews,
  type ViewSeries,
  viewLabels,
  type WatchData,
  type WatchNode,
  type WatchProcess,
  type WatchView,
} from '../report/watch_page_model.ts';
import { colourOf, type Line, layersOf, plot } from './graph.ts';
import { followTheme } from './theme.ts';
import { bytesText, secondsText } from './units.ts';

const find = <E extends HTMLElement>(selector: string): E => document.querySelector(selector) as E;
const data = JSON.parse(find('#data').textContent ?? '') as WatchData;
const axis = { endMs: data.durationMs, syncKey: 'run' };
const smallHeight = 130;
/** Of processes: this many of the largest have a graph at first. */
const firstGraphs = 3;

const colours: Readonly<Record<SeriesView, string>> = {
  sumRss: '--ink',
  sumPss: '--file',
  footprint: '--tracked',
  slurmDefault: '--shmem',
  slurmNoShared: '--anon',
  slurmUsePss: '--mapped',
  cgroup: '--heap',
};

interface Choice {
  readonly node: WatchNode;
  readonly process: WatchProcess;
  readonly box: HTMLInputElement;
}

const choices: Choice[] = [];
let drawn: { destroy(): void }[] = [];

function drawAll(): void {
  for (const one of drawn) one.destroy();
  drawn = [];
  find('#graphs').replaceChildren();
  const [first] = data.nodes as [WatchNode];
  if (data.job === null) drawn.push(drawViews(find('#graph'), first.series, first.limitBytes));
  else {
    drawn.push(drawViews(find('#graph'), data.job.series, null));
    data.nodes.forEach((node, i) => {
      drawn.push(drawViews(find(`#node-${i}`), node.series, node.limitBytes));
    });
  }
  for (const choice of choices) if (choice.box.checked) drawn.push(drawProcess(choice));
}

/** What nobody measured has no line. */
function drawViews(
  place: HTMLElement,
  { timeMs, columns }: ViewSeries,
  limitBytes: number | null,
): { destroy(): void } {
  const lines: Line[] = seriesViews
    .filter((view) => columns[view].some((bytes) => bytes !== null))
    .map((view) => ({
      label: viewLabels[view] as string,
      colour: colourOf(colours[view]),
      values: columns[view],
    }));
  if (limitBytes !== null) {
    const values = timeMs.map(() => limitBytes);
    lines.push({ label: 'limit', colour: colourOf('--limit'), values, isDashed: true });
  }
  return plot(place, { timeMs, lines, ...axis });
}

function drawProcess({ node, process }: Choice): { destroy(): void } {
  const place = document.createElement('section');
  const heading = document.createElement('h2');
  const where = data.job === null ? '' : ` on ${node.name}`;
  heading.textContent = `${process.name} ${process.pid}${where}`;
  const canvas = document.createElement('div');
  place.append(heading, canvas);
  find('#graphs').append(place);
  const { series } = process;
  const pss = { label: 'PSS', colour: colourOf('--tracked'), values: series.pss };
  return plot(canvas, {
    timeMs: series.timeMs,
    lines: [...layersOf(series), pss],
    height: smallHeight,
    hidesLegend: true,
    ...axis,
  });
}

type Cell = string | Node;

function row(cells: readonly Cell[], tag: 'th' | 'td' = 'td'): HTMLTableRowElement {
  const made = document.createElement('tr');
  for (const cell of cells) {
    const one = document.createElement(tag);
    one.append(cell);
    made.append(one);
  }
  return made;
}

function paragraph(text: string, name = 'said'): HTMLParagraphElement {
  const made = document.createElement('p');
  made.className = name;
  made.textContent = text;
  return made;
}

const sizeText = (bytes: number | null): string => (bytes === null ? '-' : bytesText(bytes));
const timeText = (ms: number | null): string => (ms === null ? '-' : secondsText(ms));
const labelOf = (view: string): string => viewLabels[view] ?? view;

function rangeText(range: readonly [number, number] | null): string {
  if (range === null) return '-';
  return `${bytesText(range[0])} to ${bytesText(range[1])}`;
}

function verdictText({ kills, killsAtMs, overBytes }: WatchView): string {
  if (kills === null) return '-';
  const texts: Readonly<Record<string, string>> = {
    yes: `kills, at ${timeText(killsAtMs)}`,
    no: 'does not kill',
    'too-close': 'too close to tell',
  };
  const by = overBytes === null ? '' : `, ${bytesText(Math.abs(overBytes))}`;
  const side = overBytes === null ? '' : overBytes < 0 ? ' below' : ' over';
  return `${texts[kills] ?? kills}${by}${side}`;
}

/** Of one log. */
function viewsTable(node: WatchNode): HTMLTableElement {
  const table = document.createElement('table');
  const limit = node.limitBytes === null ? 'limit' : `limit of ${bytesText(node.limitBytes)}`;
  table.append(row(['view', 'peak', 'at', 'how exact', 'is between', limit], 'th'));
  for (const one of node.views) {
    const { view, peakBytes, atMs, exactness, rangeBytes } = one;
    const known = [sizeText(peakBytes), timeText(atMs), exactness, rangeText(rangeBytes)];
    table.append(row([labelOf(view), ...known, verdictText(one)]));
  }
  return table;
}

function nodeSection(node: WatchNode, i: number): HTMLElement {
  const section = document.createElement('section');
  const heading = document.createElement('h2');
  heading.textContent = node.name;
  section.append(heading);
  if (node.notice !== null) section.append(paragraph(node.notice, 'said notice'));
  if (node.damage !== null) section.append(paragraph(node.damage, 'said damage'));
  if (data.job !== null) {
    const graph = document.createElement('div');
    graph.id = `node-${i}`;
    section.append(graph);
  }
  section.append(viewsTable(node));
  if (node.blindSpots.length > 0) {
    section.append(paragraph('Not seen by some of them:'));
    const list = document.createElement('ul');
    for (const text of node.blindSpots) {
      const item = document.createElement('li');
      item.textContent = text;
      list.append(item);
    }
    section.append(list);
  }
  section.append(processTable(node), factsTable(node));
  return section;
}

function processTable(node: WatchNode): HTMLTableElement {
  const table = document.createElement('table');
  table.append(
    row(['process', 'shown', 'pid', 'peak RSS', 'peak PSS', 'began', 'ended', ''], 'th'),
  );
  node.processes.forEach((process, i) => {
    const { name, pid, beganAtMs, endedAtMs } = process;
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = i < firstGraphs;
    box.ariaLabel = `show ${name} ${pid}`;
    box.addEventListener('change', drawAll);
    choices.push({ node, process, box });
    const sizes = [process.peakRssBytes, process.peakPssBytes].map(sizeText);
    const times = [timeText(beganAtMs), timeText(endedAtMs)];
    table.append(row([name, box, String(pid), ...sizes, ...times, noteOf(process)]));
  });
  if (node.processesLeft > 0)
    table.append(row([`and ${node.processesLeft.toLocaleString('en-US')} smaller`]));
  return table;
}

function noteOf({ isWatch, inGroup }: WatchProcess): string {
  if (!isWatch) return '';
  return inGroup ? 'the watch itself' : 'the watch itself, not in the sums';
}

function factsTable(node: WatchNode): HTMLTableElement {
  const table = document.createElement('table');
  for (const fact of node.facts) table.append(row(fact));
  return table;
}

function fillJob(): void {
  const { job } = data;
  if (job === null) return;
  const names = ['view', 'highest of a node', 'sum of peaks', 'peak of the sum', 'at'];
  const rows = job.views
    .filter(({ peakBytes, sumBytes }) => peakBytes !== null || sumBytes !== null)
    .map(({ view, largestBytes, sumBytes, peakBytes, atMs }) => {
      const sizes = [largestBytes, sumBytes, peakBytes].map(sizeText);
      return row([labelOf(view), ...sizes, timeText(atMs)]);
    });
  find('#views').append(row(names, 'th'), ...rows);
}

function aboutText(): string {
  if (data.job === null)
    return (
      'A sum of RSS has shared pages once for each process, the footprint has each page once. ' +
      "What SLURM would see is as if it looked at each moment; its own samples' phase decides " +
      'which of them it meets, hence the ranges below.'
    );
  return (
    `The graph adds up ${data.nodes.length} logs at each moment, by the nodes' own clocks. ` +
    "sacct's MaxRSS is the highest peak of a task, not a sum: with one watch per task it is " +
    'what "highest of a node" says. "Sum of peaks" is what sacct adds up as TRESUsageInTot; ' +
    'peaks of different moments are in it. "Peak of the sum" was there at one moment.'
  );
}

document.title = data.title;
find('h1').textContent = data.title;
find('#about').textContent = aboutText();
find('#run').textContent =
  `${data.nodes.map(({ name }) => name).join(', ')}: ${secondsText(data.durationMs)}`;
fillJob();
find('#nodes').append(...data.nodes.map(nodeSection));
followTheme(find('#theme'), drawAll);
drawAll();
let waiting: ReturnType<typeof setTimeout> | undefined;
addEventListener('resize', () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 100);
});
document.documentElement.dataset.ready = 'yes';
