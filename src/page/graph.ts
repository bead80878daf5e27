/** RSS over time, by what it is of, with what is tracked over it: the gap between them is seen. */
import uPlot from 'uplot';
import type { PageData } from '../report/page_model.ts';
import { bytesText } from './bytes.ts';

const height = 220;

interface Line {
  readonly label: string;
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly isFilled?: boolean;
}

const colourOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export interface Selection {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Draws into `place`; `onSelect` is told of a range that was drawn, or null when it was undone. */
export function drawGraph(
  place: HTMLElement,
  data: PageData,
  onSelect: (selection: Selection | null) => void,
): { redraw(): void } {
  const { series, moments } = data;
  const sum = (...columns: readonly (readonly (number | null)[])[]): (number | null)[] =>
    series.timeMs.map((_, i) => {
      const values = columns.map((column) => column[i] ?? null);
      return values.includes(null) ? null : values.reduce((all, one) => all! + one!, 0);
    });
  const linesOf = (): Line[] => [
    {
      label: 'RSS: shared memory',
      colour: colourOf('--shmem'),
      values: sum(series.rssAnon, series.rssFile, series.rssShmem),
      isFilled: true,
    },
    {
      label: 'RSS: files',
      colour: colourOf('--file'),
      values: sum(series.rssAnon, series.rssFile),
      isFilled: true,
    },
    { label: 'RSS: anonymous', colour: colourOf('--anon'), values: series.rssAnon, isFilled: true },
    { label: 'tracked and live', colour: colourOf('--tracked'), values: series.tracked },
    { label: "V8's heap", colour: colourOf('--heap'), values: series.heapTotal },
  ];
  const marks = moments
    .filter(({ label, isPeak }) => isPeak || label !== null)
    .map(({ timeMs, label, isPeak }) => ({ timeMs, text: isPeak ? 'peak' : (label ?? '') }));
  const draw = (): uPlot =>
    plot(place, { timeMs: series.timeMs, lines: linesOf(), marks, onSelect });
  let drawn = draw();
  new ResizeObserver(() => drawn.setSize({ width: place.clientWidth, height })).observe(place);
  return {
    redraw() {
      drawn.destroy();
      drawn = draw();
    },
  };
}

interface Plotted {
  readonly timeMs: readonly (number | null)[];
  readonly lines: readonly Line[];
  readonly marks: readonly { readonly timeMs: number; readonly text: string }[];
  readonly onSelect: (selection: Selection | null) => void;
}

/** Lines over time in ms; drawing a range selects it, a double click selects all. */
export function plot(place: HTMLElement, { timeMs, lines, marks, onSelect }: Plotted): uPlot {
  const axis = { stroke: colourOf('--ink'), grid: { stroke: colourOf('--line'), width: 1 } };
  const options: uPlot.Options = {
    width: place.clientWidth,
    height,
    scales: { x: { time: false } },
    cursor: { drag: { x: true, y: false, setScale: false } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
      { ...axis, size: 80, values: (_, ticks) => ticks.map(bytesText) },
    ],
    series: [
      { label: 'time', value: (_, value) => (value === null ? '-' : `${value.toFixed(2)} s`) },
      ...lines.map(({ label, colour, isFilled }) => ({
        label,
        stroke: colour,
        width: isFilled ? 1 : 2,
        ...(isFilled && { fill: colour }),
        value: (_: uPlot, value: number | null) => (value === null ? '-' : bytesText(value)),
      })),
    ],
    hooks: {
      draw: [(drawn) => drawMarks(drawn, marks)],
      setSelect: [
        (drawn) => {
          const { left, width } = drawn.select;
          if (width === 0) return;
          const at = (pixel: number): number => drawn.posToVal(pixel, 'x') * 1000;
          onSelect({ fromMs: at(left), toMs: at(left + width) });
        },
      ],
    },
  };
  const seconds = timeMs.map((ms) => (ms ?? 0) / 1000);
  const drawn = new uPlot(options, [seconds, ...lines.map(({ values }) => [...values])], place);
  drawn.over.addEventListener('dblclick', () => {
    drawn.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    onSelect(null);
  });
  return drawn;
}

function drawMarks(drawn: uPlot, marks: Plotted['marks']): void {
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
    ctx.fillText(text, x + (isLate ? -4 : 4), bbox.top + 12 * devicePixelRatio);
  }
  ctx.restore();
}
