/** RSS over time, by what it is of, with what is tracked over it: the gap between them is seen. */
import uPlot from 'uplot';
import type { PageData } from '../report/page_model.ts';
import { bytesText } from './units.ts';

const defaultHeight = 220;
/** Looks that are closer together than this are a line without points. */
const leastPointPixels = 40;

type Column = readonly (number | null)[];

export interface Line {
  readonly label: string;
  readonly colour: string;
  readonly values: Column;
  /** What the legend says instead of `values`: of a layer, without those under it. */
  readonly said?: Column;
  readonly isFilled?: boolean;
  readonly isDashed?: boolean;
}

export interface Selection {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Plotted {
  readonly timeMs: Column;
  readonly lines: readonly Line[];
  readonly marks?: readonly { readonly timeMs: number; readonly text: string }[];
  readonly height?: number;
  /** The end of the axis of time, where graphs share one. */
  readonly endMs?: number;
  /** Of graphs that show the same moment. */
  readonly syncKey?: string;
  readonly hidesLegend?: boolean;
  /** Without it no range can be drawn. */
  readonly onSelect?: (selection: Selection | null) => void;
}

export const colourOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export interface Graph {
  redraw(): void;
  /** Shows a range as chosen, or none; tells nobody. */
  choose(selection: Selection | null): void;
}

/** Draws into `place`; `onSelect` is told of a range that was drawn, or null when it was undone. */
export function drawGraph(
  place: HTMLElement,
  data: PageData,
  onSelect: (selection: Selection | null) => void,
): Graph {
  const { series } = data;
  const draw = (): uPlot =>
    plot(place, {
      timeMs: series.timeMs,
      lines: [
        ...layersOf(series),
        { label: 'tracked and live', colour: colourOf('--tracked'), values: series.tracked },
        {
          label: 'of it mappings, resident',
          colour: colourOf('--mapped'),
          values: series.mappedResident,
          isDashed: true,
        },
        { label: "V8's heap", colour: colourOf('--heap'), values: series.heapTotal },
      ],
      marks: marksOf(data),
      onSelect: (selection) => {
        chosen = selection;
        onSelect(selection);
      },
    });
  let chosen: Selection | null = null;
  let drawn = draw();
  const graph = {
    redraw() {
      drawn.destroy();
      drawn = draw();
      graph.choose(chosen);
    },
    choose(selection: Selection | null) {
      chosen = selection;
      choose(drawn, selection);
    },
  };
  new ResizeObserver(() => {
    drawn.setSize({ width: place.clientWidth, height: defaultHeight });
    choose(drawn, chosen);
  }).observe(place);
  return graph;
}

interface RssColumns {
  readonly rssAnon: Column;
  readonly rssFile: Column;
  readonly rssShmem: Column;
}

/** RSS in layers, the highest first: each covers the ones before it from its own top down. */
export function layersOf({ rssAnon, rssFile, rssShmem }: RssColumns): Line[] {
  const layer = (label: string, name: string, columns: readonly Column[]): Line => ({
    label,
    colour: colourOf(name),
    values: sumOf(columns),
    said: columns.at(-1)!,
    isFilled: true,
  });
  return [
    layer('RSS: shared memory', '--shmem', [rssAnon, rssFile, rssShmem]),
    layer('RSS: files', '--file', [rssAnon, rssFile]),
    layer('RSS: anonymous', '--anon', [rssAnon]),
  ];
}

/** Of what is not known everywhere the sum is not known. */
export function sumOf(columns: readonly Column[]): (number | null)[] {
  return columns[0]!.map((_, i) =>
    columns.reduce<number | null>((sum, column) => {
      const value = column[i] ?? null;
      return sum === null || value === null ? null : sum + value;
    }, 0),
  );
}

/** The peak, and the program's own marks. */
function marksOf({ moments, peak }: PageData): NonNullable<Plotted['marks']> {
  const marks = moments.flatMap(({ timeMs, label }) =>
    label === null ? [] : [{ timeMs, text: label }],
  );
  return [...marks, { timeMs: peak.atMs, text: `peak ${bytesText(peak.bytes)}` }];
}

/** Lines over time in ms; drawing a range selects it, a double click selects all. */
export function plot(place: HTMLElement, plotted: Plotted): uPlot {
  const { timeMs, lines, onSelect } = plotted;
  const seconds = timeMs.map((ms) => (ms ?? 0) / 1000);
  const columns = lines.map(({ values }) => [...values]);
  const drawn = new uPlot(optionsOf(place, plotted), [seconds, ...columns], place);
  if (onSelect !== undefined) {
    drawn.over.addEventListener('dblclick', () => {
      choose(drawn, null);
      onSelect(null);
    });
  }
  letKeysToggle(drawn.root);
  return drawn;
}

function optionsOf(place: HTMLElement, plotted: Plotted): uPlot.Options {
  const { lines, marks = [], height = defaultHeight, endMs, syncKey, onSelect } = plotted;
  const axis = { stroke: colourOf('--ink'), grid: { stroke: colourOf('--line'), width: 1 } };
  const end = (endMs ?? 0) / 1000;
  return {
    width: place.clientWidth,
    height,
    scales: {
      x: { time: false, ...(endMs !== undefined && { range: [0, end] as uPlot.Range.MinMax }) },
      // From nothing, so that layers are as high as they are large.
      y: { range: (_, __, most) => [0, Math.max(most ?? 0, 1) * 1.08] },
    },
    legend: { show: plotted.hidesLegend !== true },
    cursor: {
      drag: { x: onSelect !== undefined, y: false, setScale: false },
      ...(syncKey !== undefined && { sync: { key: syncKey } }),
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
      { ...axis, size: 80, values: (_, ticks) => ticks.map(bytesText) },
    ],
    series: [
      { label: 'time', value: (_, value) => (value === null ? '-' : `${value.toFixed(2)} s`) },
      ...lines.map(seriesOf),
    ],
    hooks: {
      draw: [(drawn) => drawMarks(drawn, marks)],
      setSelect: [
        (drawn) => {
          const { left, width } = drawn.select;
          if (width === 0) return;
          const at = (pixel: number): number => drawn.posToVal(pixel, 'x') * 1000;
          onSelect?.({ fromMs: at(left), toMs: at(left + width) });
        },
      ],
    },
  };
}

function seriesOf({ label, colour, values, said, isFilled, isDashed }: Line): uPlot.Series {
  const known = values.reduce<number>((count, value) => count + (value === null ? 0 : 1), 0);
  return {
    label,
    stroke: colour,
    width: isFilled ? 1 : 2,
    ...(isFilled && { fill: colour }),
    ...(isDashed && { dash: [6, 4] }),
    // What is looked up rarely is known at few of the looks.
    spanGaps: !isFilled,
    points: {
      show: (drawn) => drawn.bbox.width / known > leastPointPixels * devicePixelRatio,
    },
    value: (...[, , , i]) => {
      const shown = said ?? values;
      let at = i ?? -1;
      // What is looked up rarely is as it was when it was.
      if (!isFilled) while (at > 0 && shown[at] === null) at--;
      const value = shown[at] ?? null;
      return value === null ? '-' : bytesText(value);
    },
  };
}

function choose(drawn: uPlot, selection: Selection | null): void {
  const at = (ms: number): number => drawn.valToPos(ms / 1000, 'x');
  const height = drawn.over.clientHeight;
  const [left, right] = selection === null ? [0, 0] : [at(selection.fromMs), at(selection.toMs)];
  drawn.setSelect({ left, top: 0, width: right - left, height: selection ? height : 0 }, false);
}

/** A line is shown or not by a click on its name; so that Tab and Enter do it as well. */
function letKeysToggle(root: HTMLElement): void {
  for (const name of root.querySelectorAll<HTMLElement>('.u-series:not(:first-child) th')) {
    name.tabIndex = 0;
    name.role = 'button';
    name.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      name.click();
      event.preventDefault();
    });
  }
}

function drawMarks(drawn: uPlot, marks: NonNullable<Plotted['marks']>): void {
  const { ctx, bbox } = drawn;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colourOf('--ink');
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.setLineDash([4, 4]);
  for (const { timeMs, text } of marks) {
    const x = drawn.valToPos(timeMs / 1000, 'x', true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const isLate = x > bbox.left + bbox.width * 0.8;
    ctx.textAlign = isLate ? 'right' : 'left';
    ctx.fillText(text.slice(0, 100), x + (isLate ? -4 : 4), bbox.top + 12 * devicePixelRatio);
  }
  ctx.restore();
}
