/** What stands above the processes of `memdrift top`: sums, and how they were before. */
import type { TopModel } from '../top/top_model.ts';
import { printable } from './printable.ts';
import { bar, type Colors, cut, historyColumns, size, sparkline } from './top_parts.ts';
import { sortKeys, type TopView } from './top_view.ts';
import { age, times } from './units.ts';

interface Place {
  readonly columns: number;
  readonly colors: Colors;
}

/** The group, and how it is shown. */
export function titleLine(
  model: TopModel,
  { view, shown, isPaused }: { view: TopView; shown: number; isPaused: boolean },
): string {
  const { processes, group, ended, ownCpuPercent } = model;
  return [
    `${processes.length} ${processes.length === 1 ? 'process' : 'processes'} of ${group}`,
    ...(isPaused ? ['PAUSED'] : []),
    ...(view.filter === '' ? [] : [`${shown} with "${printable(view.filter)}"`]),
    `by ${sortKeys[view.sort]}${view.isReversed ? ', least first' : ''}`,
    ...(ended === 0 ? [] : [`${ended} ended`]),
    `${age(model.atMs)}, own CPU ${ownCpuPercent.toFixed(1)} %`,
  ].join('  ');
}

const labelColumns = 26;
const mostBarColumns = 40;

/** The sum of RSS, the same memory with each page once, and the shares. */
export function totalLines({ totals }: TopModel, { columns, colors }: Place): readonly string[] {
  const { rssBytes, footprintBytes, footprintExactness, unknownPss } = totals;
  const [anon, file, shmem] = [totals.rssAnonBytes, totals.rssFileBytes, totals.rssShmemBytes];
  const footprint = footprintBytes ?? totals.knownFootprintBytes;
  const mostBytes = Math.max(rssBytes, footprint, 1);
  const barColumns = Math.max(0, Math.min(mostBarColumns, columns - labelColumns - 46));
  const gap = barColumns > 0 ? '  ' : '';
  const room = columns - labelColumns - barColumns - gap.length;
  const line = (label: string, [known, whole]: Sum, [graph, text]: [string, string]): string => {
    const sum = `${whole === null ? '≥ ' : ''}${size(known)}`;
    const head = `${label.padEnd(11)}${sum.padStart(10)} MB  `;
    return room < 0 ? cut(head, columns) : head + graph + gap + cut(text, room);
  };
  const once =
    footprintBytes === null
      ? `each page once; not known of ${unknownPss === 0 ? 'segments' : unknownPss}`
      : `RSS is ${times(rssBytes, footprintBytes)} x it; each page once, ${footprintExactness}`;
  const filled = Math.round((barColumns * footprint) / mostBytes);
  const shares = `USS ${size(totals.ussBytes)}  swap ${size(totals.swapBytes)}`;
  return [
    line(
      'sum of RSS',
      [rssBytes, rssBytes],
      [
        bar(totals, { mostBytes, columns: barColumns, colors }),
        `anon ${size(anon)}  file ${size(file)}  shmem ${size(shmem)}`,
      ],
    ),
    line('footprint', [footprint, footprintBytes], ['━'.repeat(filled).padEnd(barColumns), once]),
    line('sum of PSS', [totals.knownPssBytes, totals.pssBytes], [' '.repeat(barColumns), shares]),
  ];
}

/** What is known, and null beside it where that is not all. */
type Sum = readonly [known: number, whole: number | null];

/** Both on one scale, so that the gap between them is seen. */
export function historyLines({ history }: TopModel, { columns, colors }: Place): readonly string[] {
  const room = columns - labelColumns;
  if (room < 1) return [];
  const graphs = historyColumns(history, room);
  const { rssBytes, footprintBytes, columnMs } = graphs;
  const mostOf = (column: readonly (number | null)[]): number =>
    column.reduce<number>((most, bytes) => Math.max(most, bytes ?? 0), 0);
  const scale = Math.max(mostOf(rssBytes), mostOf(footprintBytes));
  const head = (text: string): string => cut(text, labelColumns).padEnd(labelColumns);
  return [
    colors.dim(head(`RSS, ${age(columnMs)} a mark`) + sparkline(rssBytes, scale)),
    head(`footprint, most ${size(mostOf(footprintBytes))}`) + sparkline(footprintBytes, scale),
  ];
}
