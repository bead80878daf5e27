/** A capture as a page has it. */
import { type CaptureReport, type Frame, numbersPerChange } from '../capture/capture_model.ts';
import { nameOf, placeOf } from './frame_text.ts';
import { type FrameKind, type PageData, type SeriesName, seriesNames } from './page_model.ts';
import { megabytesWithUnit } from './units.ts';

export interface PageOptions {
  readonly title: string;
  readonly moment: PageData['moment'];
  /** Threads apart, which are one otherwise. */
  readonly splitThreads: boolean;
  readonly isInverted: boolean;
  /** Stacks that have a place of their own; the rest is counted with their callers. */
  readonly mostStacks?: number;
}

/** A browser reads and draws so many stacks of 30 functions in about a second. */
const mostStacks = 100_000;

/** Cost: two walks over all nodes. */
export function pageData(report: CaptureReport, options: PageOptions): PageData {
  const kept = new KeptTree(report, options.mostStacks ?? mostStacks);
  const rows = mergedRows(report, kept, options.splitThreads);
  const { place, ...columns } = rows;
  return {
    title: options.title,
    moment: options.moment,
    isInverted: options.isInverted,
    facts: factsOf(report),
    damage: report.stats.damage,
    frames: kept.frames,
    nodes: kept.nodes,
    kinds: report.kinds,
    threads: options.splitThreads ? report.threads : [''],
    rows: columns,
    merged: kept.merged,
    series: seriesOf(report),
    moments: report.moments,
    // Rows come in another order, and several can be one.
    changes: Array.from(report.changes, (value, i) =>
      i % numbersPerChange === 1 ? (place[value] ?? 0) : value,
    ),
  };
}

/** The tree of the largest rows' stacks, numbered anew: callers before callees, 0 the empty one. */
class KeptTree {
  readonly nodes: { parent: number[]; frame: number[] } = { parent: [0], frame: [0] };
  readonly frames: PageData['frames'];
  readonly merged: PageData['merged'];
  /** By old number; 0: not there, or the empty stack. */
  readonly #numbers: Int32Array;
  readonly #parent: Uint32Array;

  constructor(report: CaptureReport, most: number) {
    const { parent, frame } = report.stacks;
    const { rows } = report;
    this.#parent = parent;
    const isKept = new Uint8Array(parent.length);
    const count = Math.min(rows.node.length, most);
    for (let row = 0; row < count; row++) {
      for (let at = rows.node[row] as number; at !== 0 && !isKept[at]; at = parent[at] as number) {
        isKept[at] = 1;
      }
    }
    this.#numbers = new Int32Array(parent.length);
    const frameNumbers = new Map<number, number>();
    for (let node = 1; node < parent.length; node++) {
      if (!isKept[node]) continue;
      const of = frame[node] as number;
      if (!frameNumbers.has(of)) frameNumbers.set(of, frameNumbers.size);
      this.#numbers[node] = this.nodes.parent.length;
      this.nodes.parent.push(this.#numbers[parent[node] as number] as number);
      this.nodes.frame.push(frameNumbers.get(of) as number);
    }
    const frames = [...frameNumbers.keys()].map((of) => report.frames[of] as Frame);
    this.frames = {
      name: frames.map(nameOf),
      place: frames.map(placeOf),
      kind: frames.map(kindOf),
    };
    this.merged = this.#countMerged(report);
  }

  /** Its number, or that of the innermost caller that has one. */
  numberOf(node: number): number {
    let at = node;
    while (at !== 0 && this.#numbers[at] === 0) at = this.#parent[at] as number;
    return this.#numbers[at] as number;
  }

  #countMerged({ rows }: CaptureReport): PageData['merged'] {
    let stacks = 0;
    let bytes = 0;
    rows.node.forEach((node, row) => {
      if (node === 0 || this.#numbers[node] !== 0) return;
      stacks++;
      bytes += rows.bytes[row] as number;
    });
    return { stacks, bytes };
  }
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
    const node = kept.numberOf(rows.node[row] as number);
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

function kindOf({ native, file }: Frame): FrameKind {
  if (native) return 2;
  return file.startsWith('node:') ? 1 : 0;
}

function factsOf({ stats, totalBytes }: CaptureReport): PageData['facts'] {
  const command = stats.argv?.join(' ') ?? '?';
  const facts: [string, string][] = [
    ['process', `${stats.role ?? 'process'}, pid ${stats.pid}, Node ${stats.nodeVersion ?? '?'}`],
    ['command', command],
    ['tracked for', `${(stats.durationMs / 1000).toFixed(2)} s`],
    ['on this page', megabytesWithUnit(totalBytes)],
    ['peak', megabytesWithUnit(stats.peakBytes)],
    ['live at the end', megabytesWithUnit(stats.leakedBytes)],
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
