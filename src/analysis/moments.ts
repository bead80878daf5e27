/** What was held at moments of a timeline. */
import { type CaptureReport, type Moment, numbersPerChange } from '../capture/capture_model.ts';
import { largestFirst, sumOfRows } from './report_rows.ts';

/**
 * The report with what its rows held at a moment of its timeline; -1: before there was anything. A
 * timeline has the kinds in `timelineKinds`. `report` must have been read with `intervals`.
 */
export function reportAt(report: CaptureReport, moment: number): CaptureReport {
  const bytes = new Float64Array(report.rows.bytes.length);
  const count = new Float64Array(report.rows.bytes.length);
  const { changes } = report;
  for (let i = 0; i < changes.length; i += numbersPerChange) {
    if ((changes[i] as number) > moment) continue;
    const row = changes[i + 1] as number;
    bytes[row] = (bytes[row] as number) + (changes[i + 2] as number);
    count[row] = (count[row] as number) + (changes[i + 3] as number);
  }
  const then = largestFirst({ ...report, rows: { ...report.rows, bytes, count } });
  return { ...then, totalBytes: sumOfRows(then) };
}

/**
 * The number of the moment that `text` names: a mark (of several with that name the first or the
 * last), `start`, `peak`, `end`, or the one that is nearest to a time such as `1.5s` or `200ms`.
 * Null: it names none, as everything does in a report without a timeline.
 */
export function momentNumber(
  moments: readonly Moment[],
  text: string,
  which: 'first' | 'last',
): number | null {
  if (moments.length === 0) return null;
  const isNamed = ({ label }: Moment): boolean => label === text;
  const marked = which === 'first' ? moments.findIndex(isNamed) : moments.findLastIndex(isNamed);
  if (marked >= 0) return marked;
  if (text === 'start') return -1;
  if (text === 'end') return moments.length - 1;
  if (text === 'peak') return moments.findIndex(({ isPeak }) => isPeak);
  const timeMs = timeOf(text);
  if (timeMs === null) return null;
  const distances = moments.map((moment) => Math.abs(moment.timeMs - timeMs));
  return distances.indexOf(Math.min(...distances));
}

const unitsMs = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 } as const;

/** In ms since the capture began; null: it is no time. */
export function timeOf(text: string): number | null {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|min|h)$/.exec(text) ?? [];
  return unit === undefined ? null : Number(number) * unitsMs[unit as keyof typeof unitsMs];
}
