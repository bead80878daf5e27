/** Reports of any shape, for tests that compare a fast answer with a slow and obvious one. */
import type { CaptureReport, CaptureStats, Frame } from '../../src/capture/capture_model.ts';
import { allocationKinds } from '../../src/capture/capture_model.ts';

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
  const place = { file: '/app.js', functionLine: 1, line: null, column: 1 };
  return { function: name, ...place, native: false, inlined: false, ...more };
}

const stats: CaptureStats = {
  role: 'main',
  nodeVersion: 'v20.0.0',
  startedAtMs: 0,
  argv: ['node', 'app.js'],
  events: 0,
  allocations: 0,
  frees: 0,
  totalBytes: 0,
  peakBytes: 0,
  leakedBytes: 0,
  droppedRecords: 0,
  unknownFrees: 0,
  durationMs: 0,
  fileBytes: 0,
  pid: 1,
  sampleBytes: 0,
  allocators: [],
  sizes: [],
  rssGrowth: null,
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
