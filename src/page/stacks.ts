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
  readonly values: Held | null;
}

/** What each row holds. */
export interface Held {
  readonly bytes: Float64Array;
  readonly count: Float64Array;
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
  /** In no order: `childrenOf` has them in one. */
  readonly children: Int32Array;
  readonly isOrdered: Uint8Array;
  readonly deepest: number;
  /** Stacks that end at their innermost function, so that the rest can be shown. */
  readonly merged: number;
  readonly mergedBytes: number;
}

/** Upside down every stack is a path of its own: beyond so many functions the smaller ones end. */
const mostInverted = 2_000_000;

/** The stacks of a page, and the views that filters make of them. */
export class Stacks {
  readonly #data: PageData;
  readonly #parent: Int32Array;
  readonly #frame: Int32Array;
  readonly #mostInverted: number;

  constructor(data: PageData, most = mostInverted) {
    this.#data = data;
    this.#mostInverted = most;
    this.#frame = Int32Array.from(data.nodes.frame);
    this.#parent = Int32Array.from(data.nodes.up, (up, node) => node - up);
  }

  viewOf(filter: Filter): View {
    const rows = this.#chosenRows(filter);
    const isShown = Uint8Array.from(this.#data.frames.kind, (kind) => {
      if (kind === 1 && filter.hidesInternals) return 0;
      if (filter.frames === 'mixed') return 1;
      return (filter.frames === 'native') === (kind === 2) ? 1 : 0;
    });
    return filter.isInverted ? this.#inverted(rows, isShown) : this.#upright(rows, isShown);
  }

  #chosenRows({ kinds, thread, values }: Filter): Row[] {
    const { rows } = this.#data;
    const chosen: Row[] = [];
    for (let i = 0; i < rows.node.length; i++) {
      if (!kinds.has(rows.kind[i]!)) continue;
      if (thread !== null && rows.thread[i] !== thread) continue;
      const bytes = values === null ? rows.bytes[i]! : values.bytes[i]!;
      const count = values === null ? (rows.count[i] ?? 0) : values.count[i]!;
      if (bytes > 0) chosen.push({ node: rows.node[i]!, bytes, count });
    }
    return chosen;
  }

  /** Callers come before callees in the data, so that one pass gives each node its place. */
  #upright(rows: readonly Row[], isShown: Uint8Array): View {
    const parent = this.#parent;
    const frame = this.#frame;
    const has = new Uint8Array(parent.length);
    let size = 1;
    for (const { node } of rows) {
      for (let at = node; at !== 0 && has[at] === 0; at = parent[at]!) {
        has[at] = 1;
        size++;
      }
    }
    const tree = new GrowingTree(size);
    const place = new Int32Array(parent.length);
    const isAsBefore = isShown.every((one) => one === 1);
    for (let node = 1; node < parent.length; node++) {
      if (has[node] === 0) continue;
      const above = place[parent[node]!]!;
      const of = frame[node]!;
      // Where nothing is hidden, no two nodes can become one.
      if (isAsBefore) place[node] = tree.append(above, of);
      else place[node] = isShown[of] ? tree.child(above, of) : above;
    }
    for (const { node, ...held } of rows) tree.add(place[node]!, held);
    return tree.view({ merged: 0, mergedBytes: 0 });
  }

  #inverted(rows: Row[], isShown: Uint8Array): View {
    rows.sort((a, b) => b.bytes - a.bytes);
    const depths = rows.map((row) => this.#shownOf(row.node, isShown));
    let whole = 0;
    let size = 1;
    for (const depth of depths) {
      if (size + depth > this.#mostInverted) break;
      size += depth;
      whole++;
    }
    const tree = new GrowingTree(size + Math.min(this.#data.frames.kind.length, rows.length));
    const merged = { merged: 0, mergedBytes: 0 };
    rows.forEach(({ node, ...held }, i) => {
      if (i >= whole && depths[i]! > 1) {
        merged.merged++;
        merged.mergedBytes += held.bytes;
      }
      let place = 0;
      for (let at = node; at !== 0; at = this.#parent[at]!) {
        if (!isShown[this.#frame[at]!]) continue;
        place = tree.child(place, this.#frame[at]!);
        if (i >= whole) break;
      }
      tree.add(place, held);
    });
    return tree.view(merged);
  }

  #shownOf(node: number, isShown: Uint8Array): number {
    let depth = 0;
    for (let at = node; at !== 0; at = this.#parent[at]!) depth += isShown[this.#frame[at]!]!;
    return depth;
  }
}

interface Row {
  readonly node: number;
  readonly bytes: number;
  readonly count: number;
}

/** A tree that is filled, callers before callees. */
class GrowingTree {
  readonly #frame: Int32Array;
  readonly #parent: Int32Array;
  readonly #depth: Int32Array;
  readonly #bytes: Float64Array;
  readonly #count: Float64Array;
  /** Numbers of nodes at places that their caller and function lead to; 0: none. */
  #places: Int32Array | null = null;
  #size = 1;

  /** `most`: nodes that it will not have more of. */
  constructor(most: number) {
    this.#frame = new Int32Array(most).fill(-1, 0, 1);
    this.#parent = new Int32Array(most);
    this.#depth = new Int32Array(most);
    this.#bytes = new Float64Array(most);
    this.#count = new Float64Array(most);
  }

  append(above: number, frame: number): number {
    const node = this.#size++;
    this.#frame[node] = frame;
    this.#parent[node] = above;
    this.#depth[node] = this.#depth[above]! + 1;
    return node;
  }

  /** The node of that function under `above`, a new one where there is none. */
  child(above: number, frame: number): number {
    // Half empty at least; a Map of a million such keys takes a second.
    this.#places ??= new Int32Array(2 ** Math.ceil(Math.log2(this.#frame.length * 2 + 2)));
    const places = this.#places;
    const mask = places.length - 1;
    let hash = Math.imul(above, 0x9e3779b1) ^ Math.imul(frame, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const node = places[at]!;
      if (node === 0) {
        places[at] = this.append(above, frame);
        return places[at]!;
      }
      if (this.#parent[node] === above && this.#frame[node] === frame) return node;
    }
  }

  add(node: number, { bytes, count }: { bytes: number; count: number }): void {
    this.#bytes[node]! += bytes;
    this.#count[node]! += count;
  }

  view(merged: { merged: number; mergedBytes: number }): View {
    const size = this.#size;
    const parent = this.#parent.subarray(0, size);
    const depth = this.#depth.subarray(0, size);
    const bytes = this.#bytes.subarray(0, size);
    const count = this.#count.subarray(0, size);
    const childCount = new Int32Array(size);
    let deepest = 0;
    for (let node = size - 1; node > 0; node--) {
      const above = parent[node]!;
      bytes[above]! += bytes[node]!;
      count[above]! += count[node]!;
      childCount[above]!++;
      if (depth[node]! > deepest) deepest = depth[node]!;
    }
    const firstChild = new Int32Array(size);
    for (let node = 1; node < size; node++) {
      firstChild[node] = firstChild[node - 1]! + childCount[node - 1]!;
    }
    const filled = firstChild.slice();
    const children = new Int32Array(size - 1);
    for (let node = 1; node < size; node++) children[filled[parent[node]!]!++] = node;
    const frame = this.#frame.subarray(0, size);
    const isOrdered = new Uint8Array(size);
    const links = { parent, firstChild, childCount, children, isOrdered };
    return { ...links, frame, depth, bytes, count, deepest, ...merged };
  }
}

/** Largest first. Ordered when it is asked for: most of a large tree is too narrow to be seen. */
export function childrenOf(view: View, node: number): Int32Array {
  const begin = view.firstChild[node]!;
  const children = view.children.subarray(begin, begin + view.childCount[node]!);
  if (view.isOrdered[node] === 0) {
    children.sort((a, b) => view.bytes[b]! - view.bytes[a]!);
    view.isOrdered[node] = 1;
  }
  return children;
}

/** What a function holds itself, without those that it called. */
export function ownBytes(view: View, node: number): number {
  let bytes = view.bytes[node]!;
  for (const child of childrenOf(view, node)) bytes -= view.bytes[child]!;
  return bytes;
}

/** Of the root inwards, without the root itself. */
export function pathOf(view: View, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at !== 0; at = view.parent[at]!) path.push(view.frame[at]!);
  return path.reverse();
}

/** The node with that path; functions of it that are not there are passed over. */
export function nodeAt(view: View, path: readonly number[]): number {
  let node = 0;
  for (const frame of path) {
    node = childrenOf(view, node).find((child) => view.frame[child] === frame) ?? node;
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
export function grownBetween({ rows, changes }: PageData, from: number, to: number): Held {
  const bytes = new Float64Array(rows.node.length);
  const count = new Float64Array(rows.node.length);
  for (let i = 0; i < changes.length; i += 4) {
    const moment = changes[i]!;
    if (moment <= from || moment > to) continue;
    bytes[changes[i + 1]!]! += changes[i + 2]!;
    count[changes[i + 1]!]! += changes[i + 3]!;
  }
  return { bytes, count };
}
