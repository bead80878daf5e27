/** The flamegraph: a canvas, since a million elements are too many for a page. */
import type { PageData } from '../report/page_model.ts';
import { childrenOf, type View } from './stacks.ts';

const rowPixels = 18;
const fontOf = '12px system-ui, sans-serif';
/** Narrower ones are not drawn. */
const leastPixels = 0.5;
const leastTextPixels = 30;
/** Rows beyond it are not drawn: a canvas has a largest height. */
const mostRows = 1500;
/** Of a canvas, in its own pixels. */
const mostCanvasPixels = 30_000;

interface Box {
  readonly node: number;
  readonly x: number;
  readonly width: number;
}

export class Flame {
  onHover: (node: number | null, at: { x: number; y: number }) => void = () => {};
  onFocus: (node: number) => void = () => {};
  onZoom: (node: number) => void = () => {};
  readonly #canvas: HTMLCanvasElement;
  readonly #data: PageData;
  #view: View | null = null;
  /** By row from the root's, in order of x. */
  #rows: Box[][] = [];
  #zoomed = 0;
  #focused = 0;
  #isFound: Uint8Array | null = null;
  #rootIsBelow = false;
  #isWaiting = false;

  constructor(canvas: HTMLCanvasElement, data: PageData) {
    this.#canvas = canvas;
    this.#data = data;
    canvas.addEventListener('mousemove', (event) => {
      const node = this.#nodeAt(event.offsetX, event.offsetY);
      canvas.style.cursor = node === null ? 'default' : 'pointer';
      this.onHover(node, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener('mouseleave', () => this.onHover(null, { x: 0, y: 0 }));
    canvas.addEventListener('click', (event) => {
      const node = this.#nodeAt(event.offsetX, event.offsetY);
      if (node !== null) this.zoom(node);
    });
    canvas.addEventListener('keydown', (event) => this.#onKey(event));
    canvas.addEventListener('focus', () => this.drawSoon());
    canvas.addEventListener('blur', () => this.drawSoon());
    new ResizeObserver(() => this.drawSoon()).observe(canvas.parentElement as HTMLElement);
  }

  get zoomed(): number {
    return this.#zoomed;
  }
  get focused(): number {
    return this.#focused;
  }
  /** Where a node was drawn, in the canvas; null: it is not to be seen. */
  placeOf(node: number): { x: number; y: number; width: number; height: number } | null {
    const row = this.#view?.depth[node] ?? 0;
    const box = this.#rows[row]?.find((one) => one.node === node);
    if (box === undefined) return null;
    return { x: box.x, y: this.#topOf(row), width: box.width, height: rowPixels };
  }

  show(view: View, zoomed: number): void {
    this.#view = view;
    this.#zoomed = zoomed;
    this.#focused = zoomed;
    this.drawSoon();
  }
  find(isFound: Uint8Array | null): void {
    this.#isFound = isFound;
    this.drawSoon();
  }
  turn(rootIsBelow: boolean): void {
    this.#rootIsBelow = rootIsBelow;
    this.drawSoon();
  }
  zoom(node: number): void {
    this.#zoomed = node;
    this.#focused = node;
    this.drawSoon();
    this.onZoom(node);
  }

  #onKey(event: KeyboardEvent): void {
    const view = this.#view;
    // What has a modifier is the browser's: Alt and an arrow goes back.
    if (view === null || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = this.#neighbour(view, event.key);
    if (event.key === 'Enter' || event.key === ' ') this.zoom(this.#focused);
    else if (event.key === 'Escape') this.zoom(0);
    else if (to === null) return;
    else this.#focus(to);
    event.preventDefault();
  }

  #neighbour(view: View, key: string): number | null {
    const [inwards, outwards] = this.#rootIsBelow
      ? ['ArrowUp', 'ArrowDown']
      : ['ArrowDown', 'ArrowUp'];
    const at = this.#focused;
    const parent = view.parent[at]!;
    if (key === 'Home') return 0;
    if (key === outwards) return parent;
    if (key === inwards) return childrenOf(view, at)[0] ?? at;
    if (key !== 'ArrowLeft' && key !== 'ArrowRight') return null;
    if (at === 0) return at;
    const siblings = childrenOf(view, parent);
    return siblings[siblings.indexOf(at) + (key === 'ArrowRight' ? 1 : -1)] ?? at;
  }

  #focus(node: number): void {
    this.#focused = node;
    // What is not within the zoom cannot be seen: zoom out as far as needed.
    const view = this.#view!;
    let at = node;
    while (at !== 0 && at !== this.#zoomed) at = view.parent[at]!;
    if (at !== this.#zoomed && !this.#isCallerOfZoomed(view, node)) {
      this.#zoomed = view.parent[node]!;
      this.onZoom(this.#zoomed);
    }
    this.draw();
    this.onFocus(node);
    this.#scrollTo(node);
  }

  #isCallerOfZoomed(view: View, node: number): boolean {
    let at = this.#zoomed;
    while (at !== 0 && at !== node) at = view.parent[at]!;
    return at === node;
  }

  #scrollTo(node: number): void {
    const place = this.placeOf(node);
    if (place === null) return;
    const top = this.#canvas.getBoundingClientRect().top + place.y;
    if (top < 0) scrollBy(0, top - rowPixels);
    else if (top + rowPixels > innerHeight) scrollBy(0, top + 2 * rowPixels - innerHeight);
  }

  #nodeAt(x: number, y: number): number | null {
    const at = Math.floor(y / rowPixels);
    const row = this.#rows[this.#rootIsBelow ? this.#rows.length - 1 - at : at] ?? [];
    let [low, high] = [0, row.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row[middle]!.x <= x) low = middle + 1;
      else high = middle;
    }
    const box = row[low - 1];
    return box !== undefined && x < box.x + box.width ? box.node : null;
  }

  #topOf(row: number): number {
    return (this.#rootIsBelow ? this.#rows.length - 1 - row : row) * rowPixels;
  }

  /** Once before the next picture, however much changes until then. */
  drawSoon(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    requestAnimationFrame(() => {
      if (this.#isWaiting) this.draw();
    });
  }

  draw(): void {
    this.#isWaiting = false;
    const view = this.#view;
    if (view === null) return;
    const canvas = this.#canvas;
    const width = canvas.parentElement?.clientWidth ?? 800;
    this.#rows = this.#layOut(view, width);
    const height = this.#rows.length * rowPixels;
    const ratio = Math.min(window.devicePixelRatio || 1, mostCanvasPixels / height);
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    context.scale(ratio, ratio);
    context.font = fontOf;
    context.textBaseline = 'middle';
    const colours = coloursOf(getComputedStyle(canvas));
    this.#rows.forEach((row, i) => {
      for (const box of row) this.#drawBox(context, colours, { ...box, y: this.#topOf(i) });
    });
  }

  /** The zoomed function fills the width, its callers too; then all that is wide enough. */
  #layOut(view: View, width: number): Box[][] {
    const rows: Box[][] = [];
    for (let at = this.#zoomed; ; at = view.parent[at]!) {
      rows.push([{ node: at, x: 0, width }]);
      if (at === 0) break;
    }
    rows.reverse();
    const perByte = width / Math.max(view.bytes[this.#zoomed]!, 1);
    for (let row = rows.at(-1)!; row.length > 0 && rows.length < mostRows; ) {
      const next: Box[] = [];
      for (const box of row) {
        let { x } = box;
        // Even all of its children together would not be seen.
        if (box.width < leastPixels) continue;
        for (const node of childrenOf(view, box.node)) {
          const child = { node, x, width: view.bytes[node]! * perByte };
          if (child.width < leastPixels) break; // The largest come first.
          next.push(child);
          x += child.width;
        }
      }
      if (next.length > 0) rows.push(next);
      row = next;
    }
    return rows;
  }

  #drawBox(context: CanvasRenderingContext2D, colours: Colours, box: Box & { y: number }): void {
    const view = this.#view!;
    const frame = view.frame[box.node]!;
    const isFound = this.#isFound !== null && frame >= 0 && this.#isFound[frame] === 1;
    const kind = frame < 0 ? colours.root : colours.kinds[this.#data.frames.kind[frame]!]!;
    context.fillStyle = isFound ? colours.found : kind;
    context.globalAlpha = this.#isFound !== null && !isFound ? 0.35 : shade(frame);
    const gap = box.width > 2 ? 0.5 : 0;
    context.fillRect(box.x, box.y, box.width - gap, rowPixels - 1);
    context.globalAlpha = 1;
    if (box.node === this.#focused && document.activeElement === this.#canvas) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 2;
      const width = Math.max(box.width - gap - 2, 1);
      context.strokeRect(box.x + 1, box.y + 1, width, rowPixels - 3);
    }
    if (box.width < leastTextPixels) return;
    const name = frame < 0 ? 'all' : this.#data.frames.name[frame]!;
    context.fillStyle = colours.ink;
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width - 4, rowPixels);
    context.clip();
    // A name of a million characters would be measured as a whole.
    context.fillText(name.slice(0, 300), box.x + 4, box.y + rowPixels / 2);
    context.restore();
  }
}

interface Colours {
  readonly ink: string;
  readonly root: string;
  readonly found: string;
  readonly kinds: readonly string[];
}

/** Asked for once, not once for each function. */
function coloursOf(style: CSSStyleDeclaration): Colours {
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const kinds = ['js', 'internal', 'native'].map(colour);
  return { ink: colour('ink'), root: colour('root'), found: colour('found'), kinds };
}

/** Neighbours in slightly different strength, the same function always in the same. */
function shade(frame: number): number {
  return frame < 0 ? 1 : 0.72 + ((frame * 37) % 8) * 0.04;
}
