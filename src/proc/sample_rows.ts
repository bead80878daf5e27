/** Makes the processes of a sample out of the columns that the native sampler hands over. */
import type { NativeProcess, NativeSample } from '../door_sampler.ts';

/** The numbers of one process in `rows`, in order; NaN is not known. */
const rowFields = [
  'pid',
  'parentPid',
  'startTimeTicks',
  'rssBytes',
  'rssAnonBytes',
  'rssFileBytes',
  'rssShmemBytes',
  'swapBytes',
  'sharedBytes',
  'peakRssBytes',
  'statRssBytes',
  'cpuMs',
  'pssBytes',
  'ussBytes',
  'passedAtMs',
  'faultBytes',
  'pssLowBytes',
  'pssHighBytes',
  'denied',
] as const;

/** The objects have one shape, whatever is unknown: reading them is what a watch does most. */
export function processesOf({
  rows,
  names,
}: Pick<NativeSample, 'rows' | 'names'>): NativeProcess[] {
  const processes: NativeProcess[] = [];
  for (const [index, name] of names.entries())
    processes.push(processOf(rows, index * rowFields.length, name));
  return processes;
}

function processOf(rows: Float64Array, from: number, name: string): NativeProcess {
  const number = (field: Field): number => rows[from + place[field]] as number;
  const orNull = (field: Field): number | null => {
    const value = number(field);
    return Number.isNaN(value) ? null : value;
  };
  return {
    pid: number('pid'),
    parentPid: number('parentPid'),
    name,
    startTimeTicks: number('startTimeTicks'),
    rssBytes: orNull('rssBytes'),
    rssAnonBytes: orNull('rssAnonBytes'),
    rssFileBytes: orNull('rssFileBytes'),
    rssShmemBytes: orNull('rssShmemBytes'),
    swapBytes: orNull('swapBytes'),
    sharedBytes: orNull('sharedBytes'),
    statRssBytes: orNull('statRssBytes'),
    peakRssBytes: orNull('peakRssBytes'),
    cpuMs: orNull('cpuMs'),
    pssBytes: orNull('pssBytes'),
    ussBytes: orNull('ussBytes'),
    passedAtMs: orNull('passedAtMs'),
    faultBytes: orNull('faultBytes'),
    pssRangeBytes: [number('pssLowBytes'), number('pssHighBytes')],
    denied: number('denied') === 1,
  };
}

type Field = (typeof rowFields)[number];

const place = Object.fromEntries(rowFields.map((field, index) => [field, index])) as Readonly<
  Record<Field, number>
>;
