/** What functions hold: by themselves, and with all that they called. */
import type { CaptureReport, Frame, RowColumns } from '../capture/capture_model.ts';
import { isOwnFrame, withoutInternals } from './internals.ts';

/** One function, wherever it was called; `frame.line` is null: it may have been at several. */
export interface FunctionTotal {
  readonly frame: Frame;
  /** Allocated by the function itself. */
  readonly ownBytes: number;
  /** With what it called; of a recursive function each allocation once. */
  readonly totalBytes: number;
  /** Of allocations; without objects (kind jsheap), since V8 does not tell how many there are. */
  readonly ownCount: number;
  readonly totalCount: number;
}

/** The same number for frames that are of the same function. */
interface FunctionNumbers {
  readonly ofFrame: Uint32Array;
  /** Of each number; the executing line is not known, and neither is what it is compiled into. */
  readonly frames: readonly Frame[];
}

/** Tells functions by name, file and where their definition is; `lines` makes a frame per line. */
function numberFunctions(frames: readonly Frame[]): FunctionNumbers {
  const known = new Map<string, number>();
  const functions: Frame[] = [];
  const ofFrame = Uint32Array.from(frames, (frame) => {
    const { function: name, file, functionLine, column, native } = frame;
    const key = JSON.stringify([name, file, functionLine, column, native]);
    let number = known.get(key);
    if (number === undefined) {
      number = functions.push({ ...frame, line: null, inlined: false }) - 1;
      known.set(key, number);
    }
    return number;
  });
  return { ofFrame, frames: functions };
}

/**
 * Every function that holds something, the largest total first. Stacks without a frame, and stacks
 * of the tracker, belong to none. Cost: one walk over rows and nodes, a second for a million
 * stacks.
 */
export function functionTotals(report: CaptureReport): FunctionTotal[] {
  const { ofFrame, frames } = numberFunctions(report.frames);
  const { stacks, rows } = report;
  const functionOf = (node: number): number => ofFrame[stacks.frame[node] as number] as number;
  const bytes = sumsByNode(rows.bytes, rows, stacks.parent.length);
  const count = sumsByNode(rows.count, rows, stacks.parent.length);
  const own = { bytes: new Float64Array(frames.length), count: new Float64Array(frames.length) };
  for (let node = 1; node < stacks.parent.length; node++) {
    add(own.bytes, functionOf(node), bytes[node]);
    add(own.count, functionOf(node), count[node]);
  }
  // A caller is before those that it called: from the end on, each node is whole when it is added.
  for (let node = stacks.parent.length - 1; node > 0; node--) {
    add(bytes, stacks.parent[node] as number, bytes[node]);
    add(count, stacks.parent[node] as number, count[node]);
  }
  const total = { bytes: new Float64Array(frames.length), count: new Float64Array(frames.length) };
  forOutermost(stacks.parent, functionOf, (node) => {
    add(total.bytes, functionOf(node), bytes[node]);
    add(total.count, functionOf(node), count[node]);
  });
  return frames
    .map((frame, i) => ({
      frame,
      ownBytes: own.bytes[i] as number,
      totalBytes: total.bytes[i] as number,
      ownCount: own.count[i] as number,
      totalCount: total.count[i] as number,
    }))
    .filter((one) => one.totalBytes > 0 || one.totalCount > 0)
    .filter(({ frame }) => !isOwnFrame(frame))
    .sort((a, b) => b.totalBytes - a.totalBytes);
}

/** What a function allocated in the course of a capture, freed or not. */
export interface FunctionAllocations {
  readonly frame: Frame;
  readonly bytes: number;
  readonly count: number;
}

/**
 * What the program's functions allocated, each with what Node did for it, the most bytes first.
 * Node's own, which no function of the program asked for, is under none of them. `report` must
 * have been read with `all`.
 */
export function functionAllocations(report: CaptureReport): FunctionAllocations[] {
  const { rows } = report;
  const ever = { ...rows, bytes: rows.everBytes, count: rows.everCount };
  return functionTotals(withoutInternals({ ...report, rows: ever }))
    .map(({ frame, ownBytes, ownCount }) => ({ frame, bytes: ownBytes, count: ownCount }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.bytes - a.bytes);
}

function add(to: Float64Array, at: number, value: number | undefined): void {
  to[at] = (to[at] as number) + (value as number);
}

/** Of each node what its own rows have; NaN, which is not known, adds nothing. */
function sumsByNode(column: Float64Array, { node }: RowColumns, nodes: number): Float64Array {
  const sums = new Float64Array(nodes);
  node.forEach((at, row) => {
    add(sums, at, column[row] || 0);
  });
  return sums;
}

/**
 * Visits the nodes that are in no call of the same function. Depth first, with the number of calls
 * of each function on the way down: so recursion costs nothing, however deep it is.
 */
function forOutermost(
  parent: Uint32Array,
  functionOf: (node: number) => number,
  visit: (node: number) => void,
): void {
  const { firstChild, nextSibling } = childLinks(parent);
  const calls = new Map<number, number>();
  let node = firstChild[0] as number;
  while (node !== 0) {
    const called = calls.get(functionOf(node)) ?? 0;
    if (called === 0) visit(node);
    calls.set(functionOf(node), called + 1);
    if (firstChild[node] !== 0) {
      node = firstChild[node] as number;
      continue;
    }
    while (node !== 0) {
      calls.set(functionOf(node), (calls.get(functionOf(node)) as number) - 1);
      if (nextSibling[node] !== 0) break;
      node = parent[node] as number;
    }
    node = nextSibling[node] as number;
  }
}

/** 0: there is none. */
function childLinks(parent: Uint32Array): { firstChild: Uint32Array; nextSibling: Uint32Array } {
  const firstChild = new Uint32Array(parent.length);
  const nextSibling = new Uint32Array(parent.length);
  for (let node = parent.length - 1; node > 0; node--) {
    const caller = parent[node] as number;
    nextSibling[node] = firstChild[caller] as number;
    firstChild[caller] = node;
  }
  return { firstChild, nextSibling };
}
