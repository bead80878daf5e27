/** Stacks as they are shown: filtered, the right way up, and with what each function holds. */
import type { PageData } from '../report/page_model.ts';

export interface Filter {
  /** By number of the kind. */
  readonly kinds: ReadonlySet<number>;
  /** Null: all. */
  readonly thread: number | null;
  readonly frames: 'mixed' | 'js' | 'native';
  readonly hidesInternals: boolean;
  readonly isInverted: boolean;
  /** What rows hold instead of what the capture says: of a range of time. */
  readonly values: Float64Array | null;
}

/** A tree of functions; 0 is all. Children of a node are next to each other in `children`. */
export interface View {
  readonly frame: Int32Array;
  readonly parent: Int32Array;
  readonly depth: Int32Array;
  readonly bytes: Float64Array;
  readonly count: Float64Array;
  readonly firstChild: Int32Array;
  readonly childCount: Int32Array;
  /** Largest first. */
  readonly children: Int32Array;
  readonly deepest: number;
  /** Stacks that were put together so that the rest can be shown. */
  readonly merged: number;
  readonly mergedBytes: number;
}

/** Upside down every stack is a path of its own: beyond this many the smallest become one. */
const mostInverted = 50_000;

export function viewOf(data: PageData, filter: Filter): View {
  const rows = chosenRows(data, filter);
  const builder = new Builder(data, filter);
  if (filter.isInverted) builder.addInverted(rows);
  else builder.addAll(rows);
  return builder.view();
}

interface Row {
  readonly node: number;
  readonly bytes: number;
  readonly count: number;
}

function chosenRows({ rows }: PageData, { kinds, thread, values }: Filter): Row[] {
  const chosen: Row[] = [];
  for (let i = 0; i < rows.node.length; i++) {
    if (!kinds.has(rows.kind[i]!)) continue;
    if (thread !== null && rows.thread[i] !== thread) continue;
    const bytes = values === null ? rows.bytes[i]! : values[i]!;
    if (bytes > 0) chosen.push({ node: rows.node[i]!, bytes, count: rows.count[i] ?? 0 });
  }
  return chosen;
}

class Builder {
  readonly #data: PageData;
  readonly #isShown: Uint8Array;
  readonly #frame: number[] = [-1];
  readonly #parent: number[] = [0];
  readonly #depth: number[] = [0];
  readonly #bytes: number[] = [0];
  readonly #count: number[] = [0];
  readonly #known = new Map<number, number>();
  #merged = 0;
  #mergedBytes = 0;

  constructor(data: PageData, filter: Filter) {
    this.#data = data;
    this.#isShown = Uint8Array.from(data.frames.kind, (kind) => {
      if (kind === 1 && filter.hidesInternals) return 0;
      if (filter.frames === 'mixed') return 1;
      return (filter.frames === 'native') === (kind === 2) ? 1 : 0;
    });
  }

  /** Callers come before callees in the data, so that one pass gives each node its place. */
  addAll(rows: readonly Row[]): void {
    const { parent, frame } = this.#data.nodes;
    const has = new Uint8Array(parent.length);
    for (const { node } of rows) {
      for (let at = node; at !== 0 && has[at] === 0; at = parent[at]!) has[at] = 1;
    }
    const place = new Int32Array(parent.length);
    for (let node = 1; node < parent.length; node++) {
      if (has[node] === 0) continue;
      const above = place[parent[node]!]!;
      place[node] = this.#isShown[frame[node]!] ? this.#child(above, frame[node]!) : above;
    }
    for (const { node, bytes, count } of rows) this.#add(place[node]!, bytes, count);
  }

  addInverted(rows: Row[]): void {
    const { parent, frame } = this.#data.nodes;
    rows.sort((a, b) => b.bytes - a.bytes);
    for (const { node, bytes, count } of rows.slice(0, mostInverted)) {
      let place = 0;
      for (let at = node; at !== 0; at = parent[at]!) {
        if (this.#isShown[frame[at]!]) place = this.#child(place, frame[at]!);
      }
      this.#add(place, bytes, count);
    }
    for (const { bytes, count } of rows.slice(mostInverted)) {
      this.#merged++;
      this.#mergedBytes += bytes;
      this.#add(0, bytes, count);
    }
  }

  #add(place: number, bytes: number, count: number): void {
    this.#bytes[place]! += bytes;
    this.#count[place]! += count;
  }

  #child(above: number, frame: number): number {
    const key = above * this.#data.frames.name.length + frame;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const node = this.#frame.push(frame) - 1;
    this.#parent.push(above);
    this.#depth.push(this.#depth[above]! + 1);
    this.#bytes.push(0);
    this.#count.push(0);
    this.#known.set(key, node);
    return node;
  }

  view(): View {
    const size = this.#frame.length;
    const parent = Int32Array.from(this.#parent);
    const bytes = Float64Array.from(this.#bytes);
    const count = Float64Array.from(this.#count);
    const childCount = new Int32Array(size);
    for (let node = size - 1; node > 0; node--) {
      bytes[parent[node]!]! += bytes[node]!;
      count[parent[node]!]! += count[node]!;
      childCount[parent[node]!]!++;
    }
    const firstChild = new Int32Array(size);
    for (let node = 1; node < size; node++) {
      firstChild[node] = firstChild[node - 1]! + childCount[node - 1]!;
    }
    const filled = firstChild.slice();
    const children = new Int32Array(Math.max(size - 1, 0));
    for (let node = 1; node < size; node++) children[filled[parent[node]!]!++] = node;
    for (let node = 0; node < size; node++) {
      const begin = firstChild[node]!;
      if (childCount[node]! < 2) continue;
      children.subarray(begin, begin + childCount[node]!).sort((a, b) => bytes[b]! - bytes[a]!);
    }
    let deepest = 0;
    for (const depth of this.#depth) if (depth > deepest) deepest = depth;
    const depth = Int32Array.from(this.#depth);
    const frame = Int32Array.from(this.#frame);
    const merged = { merged: this.#merged, mergedBytes: this.#mergedBytes };
    return {
      frame,
      parent,
      depth,
      bytes,
      count,
      firstChild,
      childCount,
      children,
      deepest,
      ...merged,
    };
  }
}

/** Of the root inwards, without the root itself. */
export function pathOf(view: View, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at !== 0; at = view.parent[at]!) path.unshift(view.frame[at]!);
  return path;
}

/** The node with that path, or the innermost that is there. */
export function nodeAt(view: View, path: readonly number[]): number {
  let node = 0;
  for (const frame of path) {
    const begin = view.firstChild[node]!;
    const next = view.children
      .subarray(begin, begin + view.childCount[node]!)
      .find((child) => view.frame[child] === frame);
    if (next === undefined) break;
    node = next;
  }
  return node;
}

/** Bytes under functions that `isFound` says yes to, each byte once. */
export function foundBytes(view: View, isFound: Uint8Array): number {
  const isUnder = new Uint8Array(view.frame.length);
  let bytes = 0;
  for (let node = 1; node < view.frame.length; node++) {
    if (isUnder[view.parent[node]!]) {
      isUnder[node] = 1;
    } else if (isFound[view.frame[node]!]) {
      isUnder[node] = 1;
      bytes += view.bytes[node]!;
    }
  }
  return bytes;
}

/** What rows hold more at moment `to` than at `from`; `from` -1: before the capture began. */
export function grownBetween(data: PageData, from: number, to: number): Float64Array {
  const values = new Float64Array(data.rows.node.length);
  for (let i = 0; i < data.changes.length; i += 4) {
    const moment = data.changes[i]!;
    if (moment > from && moment <= to) values[data.changes[i + 1]!]! += data.changes[i + 2]!;
  }
  return values;
}
