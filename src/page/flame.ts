/** The flamegraph: a canvas, since a million elements are too many for a page. */
import type { PageData } from '../report/page_model.ts';
import type { View } from './stacks.ts';

const rowPixels = 18;
const fontOf = '12px system-ui, sans-serif';
/** Narrower ones are not drawn. */
const leastPixels = 0.5;
const leastTextPixels = 30;
/** Rows beyond it are not drawn: a canvas has a largest height. */
const mostRows = 1500;

interface Box {
  readonly node: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export class Flame {
  onHover: (node: number | null, at: { x: number; y: number }) => void = () => {};
  onFocus: (node: number) => void = () => {};
  onZoom: (node: number) => void = () => {};
  readonly #canvas: HTMLCanvasElement;
  readonly #data: PageData;
  #view: View | null = null;
  #boxes: Box[] = [];
  #zoomed = 0;
  #focused = 0;
  #isFound: Uint8Array | null = null;
  #rootIsBelow = false;

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
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement as HTMLElement);
  }

  get zoomed(): number {
    return this.#zoomed;
  }
  get focused(): number {
    return this.#focused;
  }

  show(view: View, zoomed: number): void {
    this.#view = view;
    this.#zoomed = zoomed;
    this.#focused = zoomed;
    this.draw();
  }
  find(isFound: Uint8Array | null): void {
    this.#isFound = isFound;
    this.draw();
  }
  turn(rootIsBelow: boolean): void {
    this.#rootIsBelow = rootIsBelow;
    this.draw();
  }
  zoom(node: number): void {
    this.#zoomed = node;
    this.#focused = node;
    this.draw();
    this.onZoom(node);
  }

  #onKey(event: KeyboardEvent): void {
    const view = this.#view;
    if (view === null) return;
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
    if (key === outwards) return parent;
    if (key === inwards) {
      return view.childCount[at]! > 0 ? view.children[view.firstChild[at]!]! : at;
    }
    if (key !== 'ArrowLeft' && key !== 'ArrowRight') return null;
    if (at === 0) return at;
    const begin = view.firstChild[parent]!;
    const siblings = view.children.subarray(begin, begin + view.childCount[parent]!);
    const next = siblings.indexOf(at) + (key === 'ArrowRight' ? 1 : -1);
    return siblings[next] ?? at;
  }

  #focus(node: number): void {
    this.#focused = node;
    // What is not within the zoom cannot be seen: zoom out as far as needed.
    const view = this.#view!;
    let at = node;
    while (at !== 0 && at !== this.#zoomed) at = view.parent[at]!;
    if (at !== this.#zoomed && view.depth[node]! <= view.depth[this.#zoomed]!) this.zoom(node);
    this.draw();
    this.onFocus(node);
  }

  #nodeAt(x: number, y: number): number | null {
    const box = this.#boxes.find(
      (one) => x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + rowPixels,
    );
    return box?.node ?? null;
  }

  draw(): void {
    const view = this.#view;
    if (view === null) return;
    const canvas = this.#canvas;
    const width = canvas.parentElement?.clientWidth ?? 800;
    this.#boxes = this.#layOut(view, width);
    const rows = Math.max(...this.#boxes.map((box) => box.y / rowPixels)) + 1;
    const height = rows * rowPixels;
    if (this.#rootIsBelow) {
      this.#boxes = this.#boxes.map((box) => ({ ...box, y: height - rowPixels - box.y }));
    }
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    context.scale(ratio, ratio);
    context.font = fontOf;
    context.textBaseline = 'middle';
    const style = getComputedStyle(canvas);
    for (const box of this.#boxes) this.#drawBox(context, style, box);
  }

  /** The zoomed function fills the width, its callers too; then all that is wide enough. */
  #layOut(view: View, width: number): Box[] {
    const boxes: Box[] = [];
    for (let at = this.#zoomed; ; at = view.parent[at]!) {
      boxes.push({ node: at, x: 0, y: view.depth[at]! * rowPixels, width });
      if (at === 0) break;
    }
    const perByte = width / Math.max(view.bytes[this.#zoomed]!, 1);
    const open: Box[] = [boxes[0]!];
    for (let box = open.pop(); box !== undefined; box = open.pop()) {
      if (view.depth[box.node]! >= mostRows) continue;
      const begin = view.firstChild[box.node]!;
      let x = box.x;
      for (let i = begin; i < begin + view.childCount[box.node]!; i++) {
        const node = view.children[i]!;
        const child = { node, x, y: box.y + rowPixels, width: view.bytes[node]! * perByte };
        if (child.width < leastPixels) break; // The largest come first.
        boxes.push(child);
        open.push(child);
        x += child.width;
      }
    }
    return boxes;
  }

  #drawBox(context: CanvasRenderingContext2D, style: CSSStyleDeclaration, box: Box): void {
    const view = this.#view!;
    const frame = view.frame[box.node]!;
    const isFound = this.#isFound !== null && frame >= 0 && this.#isFound[frame] === 1;
    const kind = frame < 0 ? 'root' : ['js', 'internal', 'native'][this.#data.frames.kind[frame]!];
    context.fillStyle = style.getPropertyValue(isFound ? '--found' : `--${kind}`);
    context.globalAlpha = this.#isFound !== null && !isFound ? 0.35 : shade(frame);
    const gap = box.width > 2 ? 0.5 : 0;
    context.fillRect(box.x, box.y, box.width - gap, rowPixels - 1);
    context.globalAlpha = 1;
    if (box.node === this.#focused && document.activeElement === this.#canvas) {
      context.strokeStyle = style.getPropertyValue('--ink');
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1.5, rowPixels - 2);
    }
    if (box.width < leastTextPixels) return;
    const name = frame < 0 ? 'all' : this.#data.frames.name[frame]!;
    context.fillStyle = style.getPropertyValue('--ink');
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width - 4, rowPixels);
    context.clip();
    context.fillText(name, box.x + 4, box.y + rowPixels / 2);
    context.restore();
  }
}

/** Neighbours in slightly different strength, the same function always in the same. */
function shade(frame: number): number {
  return frame < 0 ? 1 : 0.72 + ((frame * 37) % 8) * 0.04;
}
