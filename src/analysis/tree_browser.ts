/** What a reader of a call tree has open, and where they are in it. */
import { type CallNode, type CallTree, type TreeLine, treeLines } from './call_tree.ts';

export class TreeBrowser {
  readonly tree: CallTree;
  readonly #open = new Set<number>();
  #lines: readonly TreeLine[] = [];
  #selected = 0;
  #top = 0;

  /** Opens the largest path, as far as it holds most of what its caller does. */
  constructor(tree: CallTree) {
    this.tree = tree;
    let at = 0;
    for (;;) {
      const [largest] = this.#node(at).children;
      if (largest === undefined || this.#node(largest).bytes * 2 < this.#node(at).bytes) break;
      this.#open.add(largest);
      at = largest;
    }
    this.#refresh();
  }

  get lines(): readonly TreeLine[] {
    return this.#lines;
  }

  /** Of `lines`. */
  get selected(): number {
    return this.#selected;
  }

  isOpen(node: number): boolean {
    return this.#open.has(node);
  }

  /** The first line that is shown where `height` of them are: the selected one is among them. */
  topOf(height: number): number {
    const last = Math.max(0, this.#lines.length - height);
    const lowest = Math.min(this.#selected, last);
    this.#top = Math.max(this.#selected - height + 1, Math.min(this.#top, lowest));
    return this.#top;
  }

  move(by: number): void {
    const to = Math.min(this.#selected + by, this.#lines.length - 1);
    this.#selected = Math.max(to, 0);
  }

  toggle(): void {
    const line = this.#lines[this.#selected];
    if (line?.part !== 'function') return;
    if (!this.#open.delete(line.node)) this.#open.add(line.node);
    this.#refresh();
  }

  /** Opens the line; where it is open already, on to the first one in it. */
  enter(): void {
    const line = this.#lines[this.#selected];
    if (line?.part !== 'function') return;
    if (this.#open.has(line.node)) {
      if ((this.#lines[this.#selected + 1]?.depth ?? 0) > line.depth) this.move(1);
      return;
    }
    this.#open.add(line.node);
    this.#refresh();
  }

  /** Closes the line; where it is closed already, back to its caller. */
  leave(): void {
    const line = this.#lines[this.#selected];
    if (line === undefined) return;
    if (line.part === 'function' && this.#open.delete(line.node)) {
      this.#refresh();
      return;
    }
    const caller = line.part === 'function' ? this.#node(line.node).parent : line.node;
    if (caller !== 0) this.#select(caller);
  }

  /** The whole branch of the line. */
  openBranch(): void {
    const line = this.#lines[this.#selected];
    if (line?.part !== 'function') return;
    const waiting = [line.node];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      this.#open.add(node);
      for (const child of this.#node(node).children) waiting.push(child);
    }
    this.#refresh();
  }

  /**
   * On to the next function that is looked for, from the selected one on and then from the start,
   * also where it is closed; its callers are opened. False: there is none.
   */
  find(isWanted: (node: CallNode) => boolean): boolean {
    const all = treeLines(this.tree, () => true).filter(({ part }) => part === 'function');
    const from = all.findIndex(({ node }) => node === this.#lines[this.#selected]?.node);
    const ordered = [...all.slice(from + 1), ...all.slice(0, from + 1)];
    const found = ordered.find(({ node }) => isWanted(this.#node(node)));
    if (found === undefined) return false;
    for (let at = this.#node(found.node).parent; at !== 0; at = this.#node(at).parent) {
      this.#open.add(at);
    }
    this.#refresh();
    this.#select(found.node);
    return true;
  }

  #node(node: number): CallNode {
    return this.tree.nodes[node] as CallNode;
  }

  #select(node: number): void {
    this.#selected = this.#lines.findIndex(
      (line) => line.node === node && line.part === 'function',
    );
  }

  #refresh(): void {
    this.#lines = treeLines(this.tree, (node) => this.#open.has(node));
    this.move(0);
  }
}
