/** The page of one capture. */
import type { PageData } from '../report/page_model.ts';
import { bytesText, percentText, secondsText } from './bytes.ts';
import { Flame } from './flame.ts';
import { drawGraph, type Selection } from './graph.ts';
import {
  foundBytes,
  grownBetween,
  type Held,
  nodeAt,
  pathOf,
  Stacks,
  type View,
} from './stacks.ts';
import { followTheme } from './theme.ts';

const find = <E extends HTMLElement>(selector: string): E => document.querySelector(selector) as E;

const data = JSON.parse(find('#data').textContent ?? '') as PageData;
const inputs = {
  search: find<HTMLInputElement>('#search'),
  thread: find<HTMLSelectElement>('#thread'),
  frames: find<HTMLSelectElement>('#frames'),
  internals: find<HTMLInputElement>('#internals'),
  inverted: find<HTMLInputElement>('#inverted'),
  below: find<HTMLInputElement>('#below'),
};
const flame = new Flame(find<HTMLCanvasElement>('canvas.flame'), data);
let view: View;
const stacks = new Stacks(data);
let values: Held | null = null;

const what = { peak: 'live at the peak', end: 'live at the end', temporary: 'freed soon' };

/** As the fragment of the address has it, so that a link shows the same. */
interface Place {
  zoom: readonly number[];
  search: string;
}

function placeOfAddress(): Place {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const zoom = (parameters.get('zoom') ?? '').split('.').filter((text) => /^\d+$/.test(text));
  return { zoom: zoom.map(Number), search: parameters.get('search') ?? '' };
}

function setAddress(): void {
  const parameters = new URLSearchParams();
  const path = pathOf(view, flame.zoomed);
  if (path.length > 0) parameters.set('zoom', path.join('.'));
  if (inputs.search.value !== '') parameters.set('search', inputs.search.value);
  history.replaceState(null, '', `#${parameters}`);
}

function chosenKinds(): Set<number> {
  const boxes = [...document.querySelectorAll<HTMLInputElement>('#kinds input')];
  return new Set(boxes.flatMap((box, kind) => (box.checked ? [kind] : [])));
}

function rebuild(zoom: readonly number[]): void {
  view = stacks.viewOf({
    kinds: chosenKinds(),
    thread: inputs.thread.value === '' ? null : Number(inputs.thread.value),
    frames: inputs.frames.value as 'mixed' | 'js' | 'native',
    hidesInternals: inputs.internals.checked,
    isInverted: inputs.inverted.checked,
    values,
  });
  flame.show(view, nodeAt(view, zoom));
  find('#merged').textContent = mergedText();
  search();
  say(flame.focused);
}

/** What stands under a caller instead of a stack of its own, so that the rest can be shown. */
function mergedText(): string {
  const parts: string[] = [];
  const { stacks, bytes } = data.merged;
  const count = (number: number): string => number.toLocaleString('en-US');
  if (stacks > 0) {
    parts.push(`${count(stacks)} smaller stacks, ${bytesText(bytes)}, end at a caller.`);
  }
  if (view.merged > 0) {
    parts.push(`${count(view.merged)} stacks, ${bytesText(view.mergedBytes)}, are in "all" only.`);
  }
  return parts.join(' ');
}

function search(): void {
  const text = inputs.search.value.toLowerCase();
  const { name, place } = data.frames;
  const isFound = Uint8Array.from(name, (one, frame) =>
    one.toLowerCase().includes(text) || place[frame]!.toLowerCase().includes(text) ? 1 : 0,
  );
  flame.find(text === '' ? null : isFound);
  const bytes = text === '' ? 0 : foundBytes(view, isFound);
  const share = `${bytesText(bytes)}, ${percentText(bytes, view.bytes[0]!)}`;
  find('#found').textContent = text === '' ? '' : `${share} under ${functionsText(isFound)}`;
  setAddress();
}

function functionsText(isFound: Uint8Array): string {
  const count = isFound.reduce((sum, one) => sum + one, 0);
  return count === 1 ? '1 function' : `${count.toLocaleString('en-US')} functions`;
}

function textOf(node: number): string {
  const frame = view.frame[node]!;
  const name = frame < 0 ? 'all' : data.frames.name[frame]!;
  const place = frame < 0 ? '' : data.frames.place[frame]!;
  const bytes = view.bytes[node]!;
  const count = values === null && view.count[node]! > 0 ? view.count[node]! : null;
  const parts = [bytesText(bytes), percentText(bytes, view.bytes[0]!)];
  if (count !== null) parts.push(`${count.toLocaleString('en-US')} allocations`);
  return [name, place, parts.join(', ')].filter((text) => text !== '').join('\n');
}

function say(node: number): void {
  find('#said').textContent = textOf(node).replaceAll('\n', '  ');
}

function copyStack(): void {
  const lines = pathOf(view, flame.focused)
    .reverse()
    .map((frame) => `    ${data.frames.name[frame]}  ${data.frames.place[frame]}`);
  const text = [`${bytesText(view.bytes[flame.focused]!)} ${what[data.moment]}`, ...lines].join(
    '\n',
  );
  void navigator.clipboard.writeText(text).catch(() => {});
  find('#said').textContent = 'The stack is in the clipboard.';
}

function downloadCsv(): void {
  const names = Object.keys(data.series) as (keyof PageData['series'])[];
  const rows = data.series.timeMs.map((_, i) =>
    names.map((name) => data.series[name][i] ?? '').join(','),
  );
  const header = names.map((name) => (name === 'timeMs' ? name : `${name}Bytes`)).join(',');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([`${header}\n${rows.join('\n')}\n`]));
  link.download = `${data.title}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The last moment until then; -1: before all of them. */
function momentBefore(timeMs: number): number {
  return data.moments.findLastIndex((moment) => moment.timeMs <= timeMs);
}

function select(selection: Selection | null): void {
  const said = find('#range');
  if (selection === null) {
    values = null;
    said.textContent = 'All of the time.';
  } else if (data.moments.length === 0) {
    said.textContent =
      'This page has no timeline: made with --temporal it shows what grew within a range.';
    return;
  } else {
    const from = momentBefore(selection.fromMs);
    const to = Math.max(momentBefore(selection.toMs), from + 1);
    values = grownBetween(data, from, Math.min(to, data.moments.length - 1));
    const fromMs = data.moments[from]?.timeMs ?? 0;
    const toMs = data.moments[Math.min(to, data.moments.length - 1)]!.timeMs;
    const span = `${secondsText(fromMs)} to ${secondsText(toMs)}`;
    said.textContent = `What grew from ${span}; double click for all.`;
  }
  rebuild(pathOf(view, flame.zoomed));
}

function showFacts(): void {
  document.title = data.title;
  find('h1').textContent = `${data.title}: ${what[data.moment]}`;
  for (const [name, value] of data.facts) {
    const row = document.createElement('div');
    const term = document.createElement('dt');
    const text = document.createElement('dd');
    term.textContent = name;
    text.textContent = value;
    row.append(term, text);
    find('#facts').append(row);
  }
  if (data.damage === null) return;
  find('#damage').hidden = false;
  find('#damage').textContent = `This capture can be read up to here only: ${data.damage}`;
}

function makeInputs(): void {
  inputs.inverted.checked = data.isInverted;
  for (const kind of data.kinds) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.name = kind;
    // The other kinds are pages that are not of this process alone, or counted elsewhere.
    box.checked = ['malloc', 'buffer', 'mmap', 'jsheap'].includes(kind);
    label.append(box, ` ${kind} `);
    find('#kinds').append(label);
  }
  inputs.thread.hidden = data.threads.length < 2;
  inputs.thread.append(new Option('all threads', ''));
  data.threads.forEach((name, i) => {
    inputs.thread.append(new Option(name, String(i)));
  });
}

function listen(): void {
  const again = (): void => rebuild(pathOf(view, flame.zoomed));
  for (const input of [inputs.thread, inputs.frames, inputs.internals]) {
    input.addEventListener('change', again);
  }
  inputs.inverted.addEventListener('change', () => rebuild([]));
  find('#kinds').addEventListener('change', again);
  inputs.search.addEventListener('input', search);
  inputs.below.addEventListener('change', () => flame.turn(inputs.below.checked));
  find('#reset').addEventListener('click', () => flame.zoom(0));
  find('#copy').addEventListener('click', copyStack);
  find('#csv').addEventListener('click', downloadCsv);
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target === inputs.search) return;
    inputs.search.focus();
    event.preventDefault();
  });
  window.addEventListener('hashchange', () => {
    const place = placeOfAddress();
    inputs.search.value = place.search;
    rebuild(place.zoom);
  });
}

function showTip(node: number | null, { x, y }: { x: number; y: number }): void {
  const tip = find('#tip');
  tip.hidden = node === null;
  if (node === null) return;
  tip.textContent = textOf(node);
  tip.style.left = `${Math.min(x + 12, innerWidth - tip.offsetWidth - 12)}px`;
  tip.style.top = `${Math.min(y + 12, innerHeight - tip.offsetHeight - 12)}px`;
}

showFacts();
makeInputs();
flame.onHover = showTip;
flame.onFocus = say;
flame.onZoom = (node) => {
  setAddress();
  say(node);
};
const place = placeOfAddress();
inputs.search.value = place.search;
rebuild(place.zoom);
listen();
const graph = drawGraph(find('#graph'), data, select);
followTheme(find('#theme'), () => {
  graph.redraw();
  flame.draw();
});
graph.redraw();
flame.draw();
document.documentElement.dataset.ready = 'yes';
