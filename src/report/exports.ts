/** Captures in the formats of other tools. */
import {
  Label,
  Line,
  Location,
  Function as PprofFunction,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from 'pprof-format';
import { eachRow, stackAt } from '../analysis/report_rows.ts';
import type { CaptureReport, Frame, TableRow } from '../capture/capture_model.ts';
import { lineOf, nameOf, placeOf } from './frame_text.ts';

/** Of each function, once; its number from 0. */
class Functions {
  readonly all: Frame[] = [];
  readonly #numbers = new Map<Frame, number>();

  of(frame: Frame): number {
    const known = this.#numbers.get(frame);
    if (known !== undefined) return known;
    this.#numbers.set(frame, this.all.length);
    return this.all.push(frame) - 1;
  }
}

/** What stands for a stack that nothing is known of, and in other formats for the kind. */
function kindFrame(kind: string): Frame {
  const place = { file: '', functionLine: null, line: null, column: null };
  return { function: `[${kind}]`, ...place, native: true, object: null, inlined: false };
}

/**
 * A profile as `go tool pprof` reads it, not compressed: what is held, and all that was ever
 * allocated, by stack, with kind and thread as tags. `report` must have been read with `all`.
 */
export function pprofOf(report: CaptureReport): Uint8Array {
  const strings = new StringTable();
  const type = (name: string, unit: string): ValueType =>
    new ValueType({ type: strings.dedup(name), unit: strings.dedup(unit) });
  const functions = new Functions();
  const sample = samplesOf(report, functions, strings);
  return new Profile({
    sampleType: [
      type('alloc_objects', 'count'),
      type('alloc_space', 'bytes'),
      type('inuse_objects', 'count'),
      type('inuse_space', 'bytes'),
    ],
    sample,
    location: functions.all.map((frame, i) => {
      const line = new Line({ functionId: i + 1, line: lineOf(frame) ?? 0 });
      return new Location({ id: i + 1, line: [line] });
    }),
    function: functions.all.map(
      (frame, i) =>
        new PprofFunction({
          id: i + 1,
          name: strings.dedup(nameOf(frame)),
          // The same as the name would have pprof cut parameters and "(anonymous)" out of it.
          systemName: 0,
          filename: strings.dedup(frame.file),
          startLine: frame.functionLine ?? 0,
        }),
    ),
    durationNanos: Math.round(report.stats.durationMs * 1e6),
    periodType: type('space', 'bytes'),
    period: report.stats.sampleBytes,
    defaultSampleType: strings.dedup('inuse_space'),
    stringTable: strings,
  }).encode();
}

function samplesOf(report: CaptureReport, functions: Functions, strings: StringTable): Sample[] {
  const { rows } = report;
  const unknown = report.kinds.map(kindFrame);
  const label = (key: string, text: string): Label =>
    new Label({ key: strings.dedup(key), str: strings.dedup(text) });
  const kinds = report.kinds.map((kind) => label('kind', kind));
  const threads = report.threads.map((thread) => label('thread', thread));
  return Array.from(rows.node, (node, row) => {
    const count = rows.count[row] as number;
    const kind = rows.kind[row] as number;
    // A sample without a place is in pprof's total and in no line of it.
    const stack = node === 0 ? [unknown[kind] as Frame] : stackAt(report, node);
    return new Sample({
      // Numbers of locations begin at 1.
      locationId: stack.map((frame) => functions.of(frame) + 1),
      value: [
        rows.everCount[row] as number,
        rows.everBytes[row] as number,
        Number.isNaN(count) ? 0 : count,
        rows.bytes[row] as number,
      ],
      label: [kinds[kind] as Label, threads[rows.thread[row] as number] as Label],
    });
  });
}

/**
 * https://www.speedscope.app/file-format-schema.json, a profile of weights in bytes; outermost the
 * kind of the allocations.
 */
export function speedscopeOf(report: CaptureReport, name: string): object {
  const functions = new Functions();
  const kinds = new Map<string, Frame>(report.kinds.map((kind) => [kind, kindFrame(kind)]));
  const samples: number[][] = [];
  const weights: number[] = [];
  for (const { kind, stack, bytes } of eachRow(report)) {
    if (bytes === 0) continue;
    const outermost = functions.of(kinds.get(kind) as Frame);
    samples.push([outermost, ...stack.toReversed().map((frame) => functions.of(frame))]);
    weights.push(bytes);
  }
  return {
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    exporter: 'memdrift',
    name,
    activeProfileIndex: 0,
    shared: {
      frames: functions.all.map((frame) => ({
        name: nameOf(frame),
        ...(frame.file !== '' && { file: frame.file }),
        ...(lineOf(frame) !== null && { line: lineOf(frame) }),
      })),
    },
    profiles: [
      {
        type: 'sampled',
        name,
        unit: 'bytes',
        startValue: 0,
        endValue: weights.reduce((sum, bytes) => sum + bytes, 0),
        samples,
        weights,
      },
    ],
  };
}

/** A line per stack, outermost first, and its bytes: what flamegraph.pl and its kin read. */
export function* collapsedOf(report: CaptureReport): Generator<string> {
  for (const row of eachRow(report)) {
    if (row.bytes === 0) continue;
    // What separates may not be part of a name.
    const names = row.stack.toReversed().map((frame) => nameOf(frame).replaceAll(';', ','));
    yield `${[`[${row.kind}]`, ...names].join(';').replaceAll('\n', ' ')} ${row.bytes}\n`;
  }
}

/** RFC 4180, with a header; the stack innermost first, its functions by "|". */
export function* csvOf(report: CaptureReport): Generator<string> {
  yield 'bytes,count,kind,thread,function,place,stack\r\n';
  for (const row of eachRow(report)) if (row.bytes > 0) yield csvLine(row);
}

function csvLine(row: TableRow): string {
  const [inner] = row.stack;
  const stack = row.stack.map((frame) => `${nameOf(frame)} ${placeOf(frame)}`.trim()).join('|');
  const texts = [
    row.kind,
    row.thread,
    inner ? nameOf(inner) : '',
    inner ? placeOf(inner) : '',
    stack,
  ];
  const quoted = texts.map((text) => `"${text.replaceAll('"', '""')}"`);
  return `${[row.bytes, row.count ?? '', ...quoted].join(',')}\r\n`;
}
