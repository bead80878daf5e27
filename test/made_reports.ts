/** Reports that no capture was made for: of given rows, or random; the same for the same seed. */
import type {
  CaptureReport,
  CaptureStats,
  Frame,
  MemorySeries,
} from '../src/capture/capture_model.ts';
import { allocationKinds } from '../src/capture/capture_model.ts';

/** The same numbers for the same seed, from 0 to `below`. */
export type Random = (below: number) => number;

export function randomOf(seed: number): Random {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0;
    return state % below;
  };
}

export function frameOf(name: string, more: Partial<Frame> = {}): Frame {
  const place = { file: `/srv/app/${name}.js`, functionLine: 1, line: null, column: 1 };
  const object = more.native === true ? (more.file ?? null) : null;
  return { function: name, ...place, native: false, inlined: false, object, ...more };
}

const stats: CaptureStats = {
  role: 'main',
  run: null,
  nodeVersion: 'v22.0.0',
  startedAtMs: 1_700_000_000_000,
  argv: ['node', 'app.js'],
  events: 0,
  allocations: 0,
  frees: 0,
  totalBytes: 0,
  peakBytes: 0,
  peakRangeBytes: [0, 0],
  peakAtMs: 0,
  leakedBytes: 500,
  droppedRecords: 0,
  lostThreads: 0,
  unknownFrees: 0,
  durationMs: 0,
  fileBytes: 0,
  pid: 42,
  children: [],
  childrenLeftOut: 0,
  endedChildPeakRssBytes: null,
  sampleBytes: 0,
  allocators: [],
  sizes: [],
  rssGrowth: null,
  ending: 'closed',
  damage: null,
};

/** Rows of a stack, outermost first, with bytes and count. */
export interface GivenRow {
  readonly stack: readonly Frame[];
  readonly bytes: number;
  readonly count?: number;
  readonly kind?: (typeof allocationKinds)[number];
}

/** A report of these rows: frames and nodes are numbered as they come. */
export function reportOf(given: readonly GivenRow[]): CaptureReport {
  const frames: Frame[] = [];
  const parent = [0];
  const frame = [0];
  const node = given.map(({ stack }) => {
    let at = 0;
    for (const one of stack) {
      if (!frames.includes(one)) frames.push(one);
      const number = frames.indexOf(one);
      const known = parent.findIndex((of, i) => i > 0 && of === at && frame[i] === number);
      if (known < 0) frame.push(number);
      at = known < 0 ? parent.push(at) - 1 : known;
    }
    return at;
  });
  const bytes = Float64Array.from(given, (row) => row.bytes);
  const count = Float64Array.from(given, (row) => row.count ?? 1);
  const kindOf = (row: GivenRow): number => allocationKinds.indexOf(row.kind ?? 'malloc');
  return {
    totalBytes: bytes.reduce((sum, one) => sum + one, 0),
    leftOutBytes: 0,
    frames,
    stacks: { parent: Uint32Array.from(parent), frame: Uint32Array.from(frame) },
    threads: ['1 node'],
    kinds: allocationKinds,
    rows: {
      bytes,
      count,
      everBytes: bytes,
      everCount: count,
      node: Uint32Array.from(node),
      thread: new Uint32Array(given.length),
      kind: Uint32Array.from(given, kindOf),
    },
    stats,
    series: {
      timeMs: new Float64Array(),
      rssAnon: new Float64Array(),
      rssFile: new Float64Array(),
      rssShmem: new Float64Array(),
      heapTotal: new Float64Array(),
      heapUsed: new Float64Array(),
      external: new Float64Array(),
      mappedResident: new Float64Array(),
      tracked: new Float64Array(),
    },
    moments: [],
    changes: new Float64Array(),
  };
}

/** Few functions and so much recursion; some frames are of one function at two lines. */
export function randomRows(random: Random, count = 40): GivenRow[] {
  const frames = ['a', 'b', 'c', 'd'].flatMap((name) => [
    frameOf(name),
    frameOf(name, { line: 7 }),
    frameOf(name, { file: '/other.js' }),
  ]);
  const rows = Array.from({ length: count }, () => ({
    stack: Array.from({ length: random(7) }, () => frames[random(frames.length)] as Frame),
    bytes: random(1000),
    count: random(5),
    kind: (['malloc', 'buffer', 'mmap'] as const)[random(3)] ?? 'malloc',
  }));
  return rows.sort((a, b) => b.bytes - a.bytes);
}

export interface RandomOptions {
  readonly seed: number;
  readonly nodes?: number;
  readonly rows?: number;
  readonly frames?: readonly Frame[];
  readonly moments?: number;
}

/** With functions of all three sorts, two threads, all kinds, and changes of a timeline. */
export function randomReport(options: RandomOptions): CaptureReport {
  const { seed, nodes = 60, rows: rowCount = 80, moments = 6 } = options;
  const under = randomOf(seed);
  const frames = options.frames ?? Array.from({ length: 12 }, (_, i) => someFrame(i));
  const stacks = randomTree(nodes, frames.length, under);
  const rows = Array.from({ length: rowCount }, () => ({
    bytes: under(10) === 0 ? 0 : 1 + under(1000),
    count: 1 + under(9),
    node: under(stacks.parent.length),
    thread: under(2),
    kind: under(allocationKinds.length),
  })).sort((a, b) => b.bytes - a.bytes);
  const isOfV8 = (kind: number): boolean => allocationKinds[kind] === 'jsheap';
  const column = (name: 'bytes' | 'node' | 'thread' | 'kind'): number[] =>
    rows.map((row) => row[name]);
  const count = rows.map((row) => (isOfV8(row.kind) ? NaN : row.bytes === 0 ? 0 : row.count));
  const changes = Array.from({ length: moments }, (_, moment) =>
    rows.flatMap((_row, row) => (under(10) < 3 ? [moment, row, under(400) - 150, 1] : [])),
  ).flat();
  const heap = rows.filter((row) => [0, 1, 2, 6].includes(row.kind));
  return {
    totalBytes: heap.reduce((sum, row) => sum + row.bytes, 0),
    leftOutBytes: 0,
    frames,
    stacks,
    threads: ['1 main', '7 worker'],
    kinds: allocationKinds,
    rows: {
      bytes: Float64Array.from(column('bytes')),
      count: Float64Array.from(count),
      everBytes: Float64Array.from(column('bytes'), (bytes) => bytes * 3),
      everCount: Float64Array.from(count, (one) => (Number.isNaN(one) ? 0 : one * 2)),
      node: Uint32Array.from(column('node')),
      thread: Uint32Array.from(column('thread')),
      kind: Uint32Array.from(column('kind')),
    },
    stats: { ...stats, events: rowCount, durationMs: 5000, peakBytes: 20_000_000, peakAtMs: 4000 },
    series: seriesOf(moments),
    moments: Array.from({ length: moments }, (_, i) => ({
      timeMs: i * 1000,
      label: i === 2 ? 'half' : null,
      isPeak: i === 4,
    })),
    changes: Float64Array.from(changes),
  };
}

function someFrame(i: number): Frame {
  if (i % 3 === 0) return frameOf(`native_${i}`, { native: true, file: '/usr/lib/lib.so' });
  return frameOf(`f${i}`, i % 3 === 1 ? { file: 'node:internal/x' } : {});
}

function randomTree(nodes: number, frames: number, under: Random): CaptureReport['stacks'] {
  const parent = [0];
  const frame = [0];
  const known = new Set<string>();
  for (let i = 0; i < nodes; i++) {
    // Half of them under the newest, so that some are deep.
    const above = under(2) === 0 ? parent.length - 1 : under(parent.length);
    const of = under(frames);
    if (known.has(`${above} ${of}`)) continue;
    known.add(`${above} ${of}`);
    parent.push(above);
    frame.push(of);
  }
  return { parent: Uint32Array.from(parent), frame: Uint32Array.from(frame) };
}

/** A look a second; what is tracked is highest at the fifth. */
function seriesOf(length: number): MemorySeries {
  const column = (value: (i: number) => number): Float64Array =>
    Float64Array.from({ length }, (_, i) => value(i));
  const megabytes = (first: number, more: number) => (i: number) => (first + more * i) * 1e6;
  return {
    timeMs: column((i) => i * 1000),
    rssAnon: column(megabytes(30, 2)),
    rssFile: column(megabytes(40, 0)),
    rssShmem: column(megabytes(5, 1)),
    heapTotal: column(megabytes(8, 0)),
    heapUsed: column(megabytes(5, 0)),
    external: column(megabytes(1, 0)),
    mappedResident: column((i) => (i === 0 ? NaN : 3e6)),
    tracked: column((i) => (20 - 4 * Math.abs(4 - i)) * 1e6),
  };
}
