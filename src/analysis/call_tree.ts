/** Who called whom for how much memory: the largest stacks as a tree, and the rest counted. */
import type { CaptureReport, Frame } from '../capture/capture_model.ts';
import { withoutInternals } from './internals.ts';

/**
 * A function where it was called from. `bytes` is exact: of its children, of itself (stacks that
 * end here), and of stacks under it that are too small to be shown.
 */
export interface CallNode {
  /** Null: the root, which is called by nobody. */
  readonly frame: Frame | null;
  readonly parent: number;
  /** Largest first. */
  readonly children: readonly number[];
  readonly bytes: number;
  /** Of allocations; without objects (kind jsheap), since V8 does not tell how many there are. */
  readonly count: number;
  readonly ownBytes: number;
  readonly ownCount: number;
  readonly restBytes: number;
  readonly restCount: number;
}

export interface CallTree {
  /** The root first, callers before callees. */
  readonly nodes: readonly CallNode[];
  readonly isInverted: boolean;
}

export interface CallTreeOptions {
  /** Innermost functions are called by the root, and call those that called them. */
  readonly isInverted: boolean;
  readonly hidesInternals: boolean;
  /** So many of the largest rows have all their functions in the tree. */
  readonly biggest: number;
}

/** Cost: one walk along all stacks, 2 s for a million of 30 functions. */
export function callTree(report: CaptureReport, options: CallTreeOptions): CallTree {
  const { isInverted, biggest } = options;
  const shown = options.hidesInternals ? withoutInternals(report) : report;
  const { rows, stacks } = shown;
  const builder = new Builder(shown.frames);
  const path: number[] = [];
  for (let row = 0; row < rows.node.length; row++) {
    const bytes = rows.bytes[row] as number;
    if (bytes === 0) continue;
    path.length = 0;
    for (let at = rows.node[row] as number; at !== 0; at = stacks.parent[at] as number) {
      path.push(stacks.frame[at] as number);
    }
    if (!isInverted) path.reverse();
    // NaN is of what has no count.
    builder.add(path, { bytes, count: rows.count[row] || 0, isShown: row < biggest });
  }
  return { nodes: builder.nodes(), isInverted };
}

type OpenNode = { -readonly [field in keyof CallNode]: CallNode[field] } & { children: number[] };

interface Amount {
  readonly bytes: number;
  readonly count: number;
  /** Functions that are not in the tree yet are added for it. */
  readonly isShown: boolean;
}

class Builder {
  readonly #nodes: OpenNode[] = [openNode(null, 0)];
  readonly #known = new Map<number, number>();
  readonly #frames: readonly Frame[];

  constructor(frames: readonly Frame[]) {
    this.#frames = frames;
  }

  add(path: readonly number[], amount: Amount): void {
    const { bytes, count } = amount;
    let at = 0;
    let node = this.#count(0, amount);
    for (const frame of path) {
      const next = this.#child(at, frame, amount.isShown);
      if (next === null) {
        node.restBytes += bytes;
        node.restCount += count;
        return;
      }
      at = next;
      node = this.#count(at, amount);
    }
    node.ownBytes += bytes;
    node.ownCount += count;
  }

  nodes(): readonly CallNode[] {
    const bytesOf = (node: number): number => (this.#nodes[node] as OpenNode).bytes;
    for (const { children } of this.#nodes) children.sort((a, b) => bytesOf(b) - bytesOf(a));
    return this.#nodes;
  }

  #count(at: number, { bytes, count }: Amount): OpenNode {
    const node = this.#nodes[at] as OpenNode;
    node.bytes += bytes;
    node.count += count;
    return node;
  }

  #child(parent: number, frame: number, isShown: boolean): number | null {
    const key = parent * this.#frames.length + frame;
    const known = this.#known.get(key);
    if (known !== undefined || !isShown) return known ?? null;
    const number = this.#nodes.push(openNode(this.#frames[frame] as Frame, parent)) - 1;
    this.#known.set(key, number);
    (this.#nodes[parent] as OpenNode).children.push(number);
    return number;
  }
}

function openNode(frame: Frame | null, parent: number): OpenNode {
  const sums = { bytes: 0, count: 0, ownBytes: 0, ownCount: 0, restBytes: 0, restCount: 0 };
  return { frame, parent, children: [], ...sums };
}

/** What is on a line: a function, or what its caller holds beside the functions that it called. */
export interface TreeLine {
  readonly node: number;
  readonly depth: number;
  readonly part: 'function' | 'own' | 'rest';
}

/** The lines below the root, as far as nodes are open; the root itself is in no line. */
export function treeLines(
  { nodes }: CallTree,
  isOpen: (node: number, depth: number) => boolean,
): readonly TreeLine[] {
  const lines: TreeLine[] = [];
  const waiting: TreeLine[] = linesUnder(nodes, { node: 0, depth: -1 });
  for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
    lines.push(line);
    if (line.part !== 'function' || !isOpen(line.node, line.depth)) continue;
    for (const one of linesUnder(nodes, line)) waiting.push(one);
  }
  return lines;
}

/** Backwards, as a stack wants them. */
function linesUnder(
  nodes: readonly CallNode[],
  { node, depth }: Pick<TreeLine, 'node' | 'depth'>,
): TreeLine[] {
  const { children, ownBytes, restBytes } = nodes[node] as CallNode;
  const lines: TreeLine[] = [];
  if (restBytes > 0) lines.push({ node, depth: depth + 1, part: 'rest' });
  // A function that called nobody is all its own, and so says nothing more.
  const isAllOwn = node !== 0 && children.length === 0 && restBytes === 0;
  if (ownBytes > 0 && !isAllOwn) lines.push({ node, depth: depth + 1, part: 'own' });
  for (const child of children.toReversed()) {
    lines.push({ node: child, depth: depth + 1, part: 'function' });
  }
  return lines;
}
