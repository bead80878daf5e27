/** What grew and what shrank from one report to another, by stack. */
import {
  type AllocationKind,
  allocationKinds,
  type CaptureReport,
  type Frame,
} from '../capture/capture_model.ts';

/** One stack of all threads, and what changed under it. */
export interface DifferenceRow {
  /** `toBytes` less `fromBytes`. */
  readonly bytes: number;
  readonly fromBytes: number;
  readonly toBytes: number;
  /** Of allocations; null: V8 does not tell how many objects it has (kind jsheap). */
  readonly count: number | null;
  readonly kind: AllocationKind;
  /** Innermost first, without executing lines: a stack is the same at several. */
  readonly stack: readonly Frame[];
}

export interface Difference {
  /** Of all rows, also those that did not change. */
  readonly fromBytes: number;
  readonly toBytes: number;
  /** What grew the most first, what shrank the most last; their bytes add up to the difference. */
  readonly rows: readonly DifferenceRow[];
}

/**
 * Compares what two reports hold, of two captures or of one. Functions are the same by name, file
 * and the line of their definition, so that runs at other addresses are comparable; threads are not
 * told apart, since their numbers differ from run to run. Of a report with itself nothing differs.
 * Cost: one walk over the nodes and rows of each, 4 s for a million stacks in both.
 */
export function diff(from: CaptureReport, to: CaptureReport): Difference {
  const functions = new Functions();
  const numbers = [from, to].map(({ frames }) => frames.map((frame) => functions.of(frame)));
  const stacks = new Stacks(functions);
  const amounts = new Amounts();
  for (const [i, report] of [from, to].entries()) {
    const nodes = stacks.add(report.stacks, numbers[i] as readonly number[]);
    amounts.add(report, { nodes, isTo: i === 1 });
  }
  const rows: DifferenceRow[] = [];
  for (const [i, key] of amounts.keys.entries()) {
    const [fromBytes, toBytes] = [amounts.fromBytes[i] as number, amounts.toBytes[i] as number];
    const [bytes, count] = [toBytes - fromBytes, amounts.count[i] as number];
    // What has no count is NaN, which is not 0.
    if (bytes === 0 && (count === 0 || Number.isNaN(count))) continue;
    rows.push({
      bytes,
      fromBytes,
      toBytes,
      count: Number.isNaN(count) ? null : count,
      kind: allocationKinds[key % allocationKinds.length] as AllocationKind,
      stack: stacks.framesOf(Math.floor(key / allocationKinds.length)),
    });
  }
  rows.sort((a, b) => b.bytes - a.bytes);
  return { fromBytes: sumOf(amounts.fromBytes), toBytes: sumOf(amounts.toBytes), rows };
}

/** What both reports hold, as columns: by stack and kind. */
class Amounts {
  readonly keys: number[] = [];
  readonly fromBytes: number[] = [];
  readonly toBytes: number[] = [];
  /** Of the second less the first. */
  readonly count: number[] = [];
  readonly #places = new Map<number, number>();

  add(
    { rows, kinds }: CaptureReport,
    { nodes, isTo }: { readonly nodes: Uint32Array; readonly isTo: boolean },
  ): void {
    const kindNumbers = kinds.map((kind) => allocationKinds.indexOf(kind));
    const bytes = isTo ? this.toBytes : this.fromBytes;
    for (let row = 0; row < rows.node.length; row++) {
      const kind = kindNumbers[rows.kind[row] as number] as number;
      const node = nodes[rows.node[row] as number] as number;
      const at = this.#placeOf(node * allocationKinds.length + kind);
      const count = rows.count[row] as number;
      bytes[at] = (bytes[at] as number) + (rows.bytes[row] as number);
      this.count[at] = (this.count[at] as number) + (isTo ? count : -count);
    }
  }

  #placeOf(key: number): number {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.keys.length);
    this.fromBytes.push(0);
    this.toBytes.push(0);
    this.count.push(0);
    return this.keys.push(key) - 1;
  }
}

function sumOf(bytes: readonly number[]): number {
  return bytes.reduce((sum, one) => sum + one, 0);
}

/** Of both reports, each once. */
class Functions {
  readonly frames: Frame[] = [];
  readonly #known = new Map<string, number>();

  of(frame: Frame): number {
    const key = JSON.stringify([frame.function, frame.file, frame.functionLine]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.frames.length);
    return this.frames.push({ ...frame, line: null, inlined: false }) - 1;
  }
}

/** Of both reports, in one tree. All functions must be known before. */
class Stacks {
  readonly #functions: Functions;
  readonly #parent = [0];
  readonly #function = [0];
  readonly #known = new Map<number, number>();

  constructor(functions: Functions) {
    this.#functions = functions;
  }

  /** Of each node its number here. */
  add({ parent, frame }: CaptureReport['stacks'], numbers: readonly number[]): Uint32Array {
    const nodes = new Uint32Array(parent.length);
    for (let node = 1; node < parent.length; node++) {
      const caller = nodes[parent[node] as number] as number;
      nodes[node] = this.#child(caller, numbers[frame[node] as number] as number);
    }
    return nodes;
  }

  framesOf(node: number): readonly Frame[] {
    const frames: Frame[] = [];
    for (let at = node; at !== 0; at = this.#parent[at] as number) {
      frames.push(this.#functions.frames[this.#function[at] as number] as Frame);
    }
    return frames;
  }

  #child(parent: number, number: number): number {
    const key = parent * this.#functions.frames.length + number;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#function.push(number);
    const made = this.#parent.push(parent) - 1;
    this.#known.set(key, made);
    return made;
  }
}
