/** A capture as a page has it. */
import {
  type CaptureReport,
  type Frame,
  heapKinds,
  numbersPerChange,
} from '../capture/capture_model.ts';
import { nameOf, placeOf } from './frame_text.ts';
import {
  endingTexts,
  type FrameKind,
  type PageData,
  type SeriesName,
  seriesNames,
} from './page_model.ts';
import { boundsText, lostText, megabytesWithUnit, seconds, unknown } from './units.ts';

export interface PageOptions {
  readonly title: string;
  readonly moment: PageData['moment'];
  readonly leftOut: string;
  /** Threads apart, which are one otherwise. */
  readonly splitThreads: boolean;
  readonly isInverted: boolean;
  /** Stacks that have a place of their own; the rest is counted with their callers. */
  readonly mostStacks?: number;
}

/** A browser reads and draws so many stacks of 30 functions in about a second. */
const mostStacks = 100_000;

/** More of it would push what the page is about off the screen. */
const longestCommand = 500;

/** Cost: two walks over all nodes. */
export function pageData(report: CaptureReport, options: PageOptions): PageData {
  const kept = keptTree(report, options.mostStacks ?? mostStacks);
  const { place, ...rows } = mergedRows(report, kept, options.splitThreads);
  return {
    title: options.title,
    moment: options.moment,
    leftOut: options.leftOut,
    isInverted: options.isInverted,
    facts: factsOf(report),
    damage: report.stats.damage,
    notice: endingTexts[report.stats.ending],
    peak: { bytes: report.stats.peakBytes, atMs: highestAtMs(report) },
    frames: kept.frames,
    nodes: kept.nodes,
    kinds: report.kinds,
    heapKinds,
    threads: options.splitThreads ? report.threads : [''],
    rows,
    merged: countMerged(report, kept),
    series: seriesOf(report),
    moments: report.moments,
    changes: mergedChanges(report.changes, place),
  };
}

/** The tree of the largest rows' stacks, numbered anew: callers before callees, 0 the empty one. */
interface KeptTree {
  readonly nodes: { readonly up: number[]; readonly frame: number[] };
  readonly frames: PageData['frames'];
  /** By old number. */
  readonly isKept: Uint8Array;
  /** By old number the new one, or that of the innermost caller that has one. */
  readonly numbers: Int32Array;
}

function keptTree(report: CaptureReport, most: number): KeptTree {
  const { parent, frame } = report.stacks;
  const isKept = keptNodes(report, most);
  const numbers = new Int32Array(parent.length);
  const nodes = { up: [0], frame: [0] };
  const frameNumbers = new Int32Array(report.frames.length).fill(-1);
  const frames: Frame[] = [];
  for (let node = 1; node < parent.length; node++) {
    const above = numbers[parent[node] as number] as number;
    if (isKept[node] === 0) {
      numbers[node] = above;
      continue;
    }
    const of = frame[node] as number;
    if (frameNumbers[of] === -1) frameNumbers[of] = frames.push(report.frames[of] as Frame) - 1;
    const number = nodes.up.length;
    numbers[node] = number;
    nodes.up.push(number - above);
    nodes.frame.push(frameNumbers[of] as number);
  }
  const columns = {
    name: frames.map(nameOf),
    place: frames.map(placeOf),
    kind: frames.map(kindOf),
  };
  return { nodes, frames: columns, isKept, numbers };
}

function keptNodes({ stacks: { parent }, rows }: CaptureReport, most: number): Uint8Array {
  const isKept = new Uint8Array(parent.length);
  let stacks = 0;
  for (let row = 0; row < rows.node.length && stacks < most; row++) {
    let at = rows.node[row] as number;
    // A stack with a row before, or that a larger one goes through, costs the page nothing.
    if (at !== 0 && isKept[at] === 0) stacks++;
    for (; at !== 0 && isKept[at] === 0; at = parent[at] as number) isKept[at] = 1;
  }
  return isKept;
}

function countMerged({ rows }: CaptureReport, { isKept }: KeptTree): PageData['merged'] {
  const isCounted = new Uint8Array(isKept.length);
  let stacks = 0;
  let bytes = 0;
  rows.node.forEach((node, row) => {
    if (node === 0 || isKept[node] === 1) return;
    if (isCounted[node] === 0) stacks++;
    isCounted[node] = 1;
    bytes += rows.bytes[row] as number;
  });
  return { stacks, bytes };
}

interface MergedRows {
  node: number[];
  kind: number[];
  thread: number[];
  bytes: number[];
  count: (number | null)[];
  /** Of each row of the report its row here. */
  place: Int32Array;
}

/** What is the same stack, kind and thread on the page is one row. */
function mergedRows(report: CaptureReport, kept: KeptTree, splitThreads: boolean): MergedRows {
  const { rows } = report;
  const place = new Int32Array(rows.node.length);
  const merged: MergedRows = { node: [], kind: [], thread: [], bytes: [], count: [], place };
  const threads = splitThreads ? report.threads.length : 1;
  const known = new Map<number, number>();
  for (let row = 0; row < rows.node.length; row++) {
    const node = kept.numbers[rows.node[row] as number] as number;
    const kind = rows.kind[row] as number;
    const thread = splitThreads ? (rows.thread[row] as number) : 0;
    const key = (node * threads + thread) * report.kinds.length + kind;
    const count = rows.count[row] as number;
    let at = known.get(key);
    if (at === undefined) {
      at = merged.node.push(node) - 1;
      known.set(key, at);
      merged.kind.push(kind);
      merged.thread.push(thread);
      merged.bytes.push(0);
      merged.count.push(Number.isNaN(count) ? null : 0);
    }
    place[row] = at;
    merged.bytes[at] = (merged.bytes[at] as number) + (rows.bytes[row] as number);
    const before = merged.count[at] ?? null;
    if (before !== null) merged.count[at] = before + count;
  }
  return merged;
}

/** Changes of the merged rows: several can be one, and stay in the order of their moments. */
function mergedChanges(changes: Float64Array, place: Int32Array): number[] {
  const made: number[] = [];
  /** Of each row where in `made` its change stands, if that is of this moment. */
  const known = new Int32Array(place.length);
  for (let i = 0; i < changes.length; i += numbersPerChange) {
    const moment = changes[i] as number;
    const row = place[changes[i + 1] as number] as number;
    const bytes = changes[i + 2] as number;
    const count = changes[i + 3] as number;
    const at = known[row] as number;
    if (made[at] === moment && made[at + 1] === row) {
      made[at + 2] = (made[at + 2] as number) + bytes;
      made[at + 3] = (made[at + 3] as number) + count;
    } else {
      known[row] = made.push(moment, row, bytes, count) - numbersPerChange;
    }
  }
  return made;
}

function kindOf({ native, file }: Frame): FrameKind {
  if (native) return 2;
  return file.startsWith('node:') ? 1 : 0;
}

/** The time at which the line of live memory is highest, so that the peak's mark stands there. */
function highestAtMs({ series, stats }: CaptureReport): number {
  let highest = 0;
  series.tracked.forEach((bytes, look) => {
    if (bytes > (series.tracked[highest] as number)) highest = look;
  });
  return series.timeMs[highest] ?? stats.peakAtMs;
}

function factsOf({ stats, totalBytes }: CaptureReport): PageData['facts'] {
  const command = (stats.argv?.join(' ') ?? unknown).slice(0, longestCommand);
  const lost = stats.droppedRecords;
  const sure = (bytes: number): string =>
    megabytesWithUnit(bytes) + (lost > 0 ? `, or ${lostText(lost)}` : '');
  const facts: [string, string][] = [
    ['process', `${stats.role ?? unknown}, pid ${stats.pid}, Node ${stats.nodeVersion ?? unknown}`],
    ['command', command],
    ['tracked for', seconds(stats.durationMs)],
    ['on this page', sure(totalBytes)],
    ['peak', sure(stats.peakBytes) + boundsText(stats.peakRangeBytes)],
    ['live at the end', sure(stats.leakedBytes)],
    ['events', stats.events.toLocaleString('en-US')],
    ['lost records', stats.droppedRecords.toLocaleString('en-US')],
  ];
  if (stats.sampleBytes > 0) {
    facts.push(['sampled', `one allocation in ${stats.sampleBytes.toLocaleString('en-US')} bytes`]);
  }
  return facts;
}

function seriesOf({ series }: CaptureReport): PageData['series'] {
  const column = (name: SeriesName): (number | null)[] =>
    Array.from(series[name], (value) => (Number.isNaN(value) ? null : value));
  return Object.fromEntries(seriesNames.map((name) => [name, column(name)])) as Record<
    SeriesName,
    (number | null)[]
  >;
}
