/** Reports of captures that were never made: random trees, the same for the same seed. */
import type { CaptureReport, Frame, MemorySeries } from '../../src/capture/capture_model.ts';
import { allocationKinds } from '../../src/capture/capture_model.ts';

/** Numbers from 0 to 1; mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function frameOf(name: string, more: Partial<Frame> = {}): Frame {
  return {
    function: name,
    file: `/srv/app/${name}.js`,
    functionLine: 1,
    line: null,
    column: 1,
    native: false,
    inlined: false,
    ...more,
  };
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
  const random = randomFrom(seed);
  const under = (most: number): number => Math.floor(random() * most);
  const frames = options.frames ?? Array.from({ length: 12 }, (_, i) => someFrame(i));
  const stacks = randomTree(nodes, frames.length, under);
  const rows = Array.from({ length: rowCount }, () => ({
    bytes: random() < 0.1 ? 0 : 1 + under(1000),
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
    rows.flatMap((_row, row) => (random() < 0.3 ? [moment, row, under(400) - 150, 1] : [])),
  ).flat();
  const heap = rows.filter((row) => [0, 1, 2, 6].includes(row.kind));
  return {
    totalBytes: heap.reduce((sum, row) => sum + row.bytes, 0),
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
    stats: statsOf(rowCount),
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

function randomTree(
  nodes: number,
  frames: number,
  under: (most: number) => number,
): CaptureReport['stacks'] {
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

function statsOf(events: number): CaptureReport['stats'] {
  return {
    events,
    allocations: events,
    frees: 0,
    totalBytes: 10_000,
    peakBytes: 20_000_000,
    leakedBytes: 500,
    droppedRecords: 0,
    unknownFrees: 0,
    durationMs: 5000,
    fileBytes: 4000,
    pid: 42,
    sampleBytes: 0,
    allocators: [],
    sizes: [],
    rssGrowth: null,
    sizes: [],
    allocators: [],
    damage: null,
    role: 'main',
    nodeVersion: 'v22.0.0',
    startedAtMs: 1_700_000_000_000,
    argv: ['node', 'app.js'],
  };
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
