/** The page of one capture. */
import { momentTexts, type PageData } from '../report/page_model.ts';
import { fragmentOf, type Place, placeOf } from './address.ts';
import { copyText, csvOf, download } from './files.ts';
import { Flame } from './flame.ts';
import { drawGraph, type Graph, type Selection } from './graph.ts';
import { KindBoxes } from './kind_boxes.ts';
import {
  foundBytes,
  grownBetween,
  type Held,
  nodeAt,
  ownBytes,
  pathOf,
  Stacks,
  type View,
} from './stacks.ts';
import { followTheme } from './theme.ts';
import { bytesText, percentText, secondsText } from './units.ts';

const find = <E extends HTMLElement>(selector: string): E => document.querySelector(selector) as E;

const data = JSON.parse(find('#data').textContent ?? '') as PageData;
// The text is as large again as what it says.
find('#data').remove();
const inputs = {
  search: find<HTMLInputElement>('#search'),
  thread: find<HTMLSelectElement>('#thread'),
  frames: find<HTMLSelectElement>('#frames'),
  internals: find<HTMLInputElement>('#internals'),
  inverted: find<HTMLInputElement>('#inverted'),
  below: find<HTMLInputElement>('#below'),
  from: find<HTMLInputElement>('#from'),
  to: find<HTMLInputElement>('#to'),
};
const kinds = new KindBoxes(find('#kinds'), data);
const flame = new Flame(find<HTMLCanvasElement>('canvas.flame'), data);
const stacks = new Stacks(data);
const lowNames = data.frames.name.map((name, i) =>
  `${name}\n${data.frames.place[i]}`.toLowerCase(),
);
let view: View;
let values: Held | null = null;
let range: Selection | null = null;
let graph: Graph | null = null;

const countText = (number: number): string => number.toLocaleString('en-US');

function placeShown(): Place {
  const { search, thread, frames, internals, inverted, below } = inputs;
  return {
    zoom: pathOf(view, flame.zoomed),
    search: search.value,
    kinds: kinds.chosenIfChanged(),
    thread: thread.value,
    frames: frames.value as Place['frames'],
    hidesInternals: internals.checked,
    isInverted: inverted.checked === data.isInverted ? null : inverted.checked,
    isRootBelow: below.checked,
    range,
  };
}

/** Takes the page to what a fragment says. */
function goTo(place: Place): void {
  inputs.search.value = place.search;
  kinds.choose(place.kinds);
  inputs.thread.value = data.threads[Number(place.thread)] === undefined ? '' : place.thread;
  inputs.frames.value = place.frames;
  inputs.internals.checked = place.hidesInternals;
  inputs.inverted.checked = place.isInverted ?? data.isInverted;
  inputs.below.checked = place.isRootBelow;
  flame.turn(place.isRootBelow);
  setRange(place.range);
  rebuild(place.zoom);
}

let waiting: ReturnType<typeof setTimeout> | undefined;

/** Once things are quiet: browsers refuse a hundred changes in a row. */
function setAddressSoon(): void {
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, '', fragmentOf(placeShown())), 100);
}

/** With an entry in the history, so that the back button leads out of a zoom. */
function pushAddress(): void {
  clearTimeout(waiting);
  const fragment = fragmentOf(placeShown());
  if (fragment !== location.hash) history.pushState(null, '', fragment);
}

function rebuild(zoom: readonly number[]): void {
  view = stacks.viewOf({
    kinds: kinds.chosen(),
    thread: inputs.thread.value === '' ? null : Number(inputs.thread.value),
    frames: inputs.frames.value as Place['frames'],
    hidesInternals: inputs.internals.checked,
    isInverted: inputs.inverted.checked,
    values,
  });
  kinds.say(values);
  flame.show(view, nodeAt(view, zoom));
  find('#merged').textContent = mergedText();
  search();
  say(flame.focused);
}

/** What stands under a caller instead of a stack of its own, so that the rest can be shown. */
function mergedText(): string {
  const parts: string[] = [];
  const { stacks: merged, bytes } = data.merged;
  if (merged > 0) {
    const share = `${bytesText(bytes)} of all kinds`;
    parts.push(`${countText(merged)} smaller stacks, ${share}, end at a caller.`);
  }
  if (view.merged > 0) {
    const held = bytesText(view.mergedBytes);
    parts.push(`${countText(view.merged)} stacks, ${held}, end at their innermost function.`);
  }
  if (view.bytes[0] === 0) parts.push('Nothing is left by these filters.');
  return parts.join(' ');
}

function search(): void {
  const text = inputs.search.value.toLowerCase();
  const isFound = Uint8Array.from(lowNames, (one) => (one.includes(text) ? 1 : 0));
  flame.find(text === '' ? null : isFound);
  const bytes = text === '' ? 0 : foundBytes(view, isFound);
  const share = `${bytesText(bytes)}, ${percentText(bytes, view.bytes[0]!)}`;
  find('#found').textContent = text === '' ? '' : `${share} under ${functionsText(isFound)}`;
  setAddressSoon();
}

function functionsText(isFound: Uint8Array): string {
  const count = isFound.reduce((sum, one) => sum + one, 0);
  return count === 1 ? '1 function' : `${countText(count)} functions`;
}

function textOf(node: number): string {
  const frame = view.frame[node]!;
  const name = frame < 0 ? 'all' : data.frames.name[frame]!;
  const place = frame < 0 ? '' : data.frames.place[frame]!;
  const bytes = view.bytes[node]!;
  const parts = [`${bytesText(bytes)}, ${percentText(bytes, view.bytes[0]!)}`];
  const own = ownBytes(view, node);
  if (own > 0 && own < bytes) parts.push(`${bytesText(own)} of it itself`);
  if (view.count[node]! > 0) parts.push(`${countText(view.count[node]!)} allocations`);
  return [name, place, parts.join(', ')].filter((text) => text !== '').join('\n');
}

function say(node: number): void {
  find('#said').textContent = textOf(node).replaceAll('\n', '  ');
}

async function copyStack(): Promise<void> {
  const lines = pathOf(view, flame.focused).map((frame) =>
    `    ${data.frames.name[frame]}  ${data.frames.place[frame]}`.trimEnd(),
  );
  // As stacks are read: what was executing comes first.
  if (!inputs.inverted.checked) lines.reverse();
  const held = bytesText(view.bytes[flame.focused]!);
  const head = range === null ? `${held} ${momentTexts[data.moment]}` : `${held} grew`;
  const isCopied = await copyText([head, ...lines].join('\n'));
  find('#said').textContent = isCopied
    ? 'The stack is in the clipboard.'
    : 'This browser does not let the page write to the clipboard.';
}

/** The last moment until then; -1: before all of them. */
function momentBefore(timeMs: number): number {
  return data.moments.findLastIndex((moment) => moment.timeMs <= timeMs);
}

/** What is shown is what grew within it; null: all of the time. */
function setRange(selection: Selection | null): void {
  const last = data.moments.length - 1;
  const isUsable = selection !== null && last >= 1;
  range = isUsable ? selection : null;
  graph?.choose(selection);
  const said = find('#range');
  for (const input of [inputs.from, inputs.to]) input.value = '';
  if (!isUsable) {
    values = null;
    const hint = 'Draw a range in the graph to see what grew in it.';
    said.textContent =
      last >= 1 ? hint : 'Made with --temporal this page shows what grew within a range.';
    return;
  }
  const from = Math.min(momentBefore(selection.fromMs), last - 1);
  const to = Math.max(momentBefore(selection.toMs), from + 1);
  values = grownBetween(data, from, to);
  const fromMs = data.moments[from]?.timeMs ?? 0;
  const toMs = data.moments[to]!.timeMs;
  inputs.from.value = (selection.fromMs / 1000).toFixed(2);
  inputs.to.value = (selection.toMs / 1000).toFixed(2);
  said.textContent = `What grew from ${secondsText(fromMs)} to ${secondsText(toMs)}.`;
}

function select(selection: Selection | null): void {
  setRange(selection);
  rebuild(pathOf(view, flame.zoomed));
}

function selectTyped(): void {
  const fromMs = inputs.from.valueAsNumber * 1000;
  const toMs = inputs.to.valueAsNumber * 1000;
  if (fromMs < toMs) select({ fromMs, toMs });
}

function showFacts(): void {
  document.title = data.title;
  find('h1').textContent = `${data.title}: ${momentTexts[data.moment]}${data.leftOut}`;
  for (const [name, value] of data.facts) {
    const row = document.createElement('div');
    const term = document.createElement('dt');
    const text = document.createElement('dd');
    term.textContent = name;
    text.textContent = value;
    row.append(term, text);
    find('#facts').append(row);
  }
  find('#damage').hidden = data.damage === null;
  find('#damage').textContent = `This capture can be read up to here only: ${data.damage}`;
  find('#notice').hidden = data.notice === null || data.damage !== null;
  find('#notice').textContent = `This capture is ${data.notice}.`;
  find('#memory').hidden = data.series.timeMs.length === 0;
  find('#times').hidden = data.moments.length < 2;
  inputs.thread.hidden = data.threads.length < 2;
  inputs.thread.append(new Option('all threads', ''));
  data.threads.forEach((name, i) => {
    inputs.thread.append(new Option(name || 'not known', String(i)));
  });
}

function listen(): void {
  const again = (): void => rebuild(pathOf(view, flame.zoomed));
  for (const input of [inputs.thread, inputs.frames, inputs.internals, find('#kinds')]) {
    input.addEventListener('change', again);
  }
  // The other way round the same functions are elsewhere.
  inputs.inverted.addEventListener('change', () => rebuild([]));
  inputs.search.addEventListener('input', search);
  inputs.below.addEventListener('change', () => {
    flame.turn(inputs.below.checked);
    setAddressSoon();
  });
  inputs.from.addEventListener('change', selectTyped);
  inputs.to.addEventListener('change', selectTyped);
  find('#all').addEventListener('click', () => select(null));
  find('#reset').addEventListener('click', () => flame.zoom(0));
  find('#copy').addEventListener('click', () => void copyStack());
  find('#csv').addEventListener('click', () => download(csvOf(data), `${data.title}.csv`));
  find('canvas.flame').addEventListener('keydown', ({ key, ctrlKey, metaKey }) => {
    if (key.toLowerCase() === 'c' && !ctrlKey && !metaKey) void copyStack();
  });
  document.addEventListener('keydown', (event) => {
    const isTyped = event.target instanceof HTMLInputElement && event.target.type !== 'checkbox';
    if (event.key !== '/' || isTyped) return;
    inputs.search.select();
    event.preventDefault();
  });
  window.addEventListener('popstate', () => goTo(placeOf(location.hash)));
}

function showTip(node: number | null, { x, y }: { x: number; y: number }): void {
  const tip = find('#tip');
  tip.hidden = node === null;
  if (node === null) return;
  tip.textContent = textOf(node);
  tip.style.left = `${Math.max(Math.min(x + 12, innerWidth - tip.offsetWidth - 12), 0)}px`;
  tip.style.top = `${Math.max(Math.min(y + 12, innerHeight - tip.offsetHeight - 12), 0)}px`;
}

showFacts();
flame.onHover = showTip;
flame.onFocus = say;
flame.onZoom = (node) => {
  pushAddress();
  say(node);
};
if (data.series.timeMs.length > 0) graph = drawGraph(find('#graph'), data, select);
goTo(placeOf(location.hash));
listen();
followTheme(find('#theme'), () => {
  graph?.redraw();
  flame.draw();
});
flame.draw();
document.documentElement.dataset.ready = 'yes';
