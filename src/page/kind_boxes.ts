/** Boxes that say which kinds of allocations are shown, and what each holds. */
import type { PageData } from '../report/page_model.ts';
import type { Held } from './stacks.ts';
import { bytesText } from './units.ts';

export class KindBoxes {
  readonly #data: PageData;
  /** By number of the kind; null: the page has nothing of it. */
  readonly #boxes: readonly (HTMLInputElement | null)[];
  readonly #texts: HTMLElement[] = [];
  readonly #atFirst: readonly string[];

  constructor(place: HTMLElement, data: PageData) {
    this.#data = data;
    const has = new Set(data.rows.kind);
    const shown = data.kinds.filter((_, kind) => has.has(kind));
    const heap = shown.filter((kind) => data.heapKinds.includes(kind));
    // A page that was asked to have other kinds only shows those.
    this.#atFirst = heap.length > 0 ? heap : shown;
    this.#boxes = data.kinds.map((name) => {
      const text = document.createElement('span');
      this.#texts.push(text);
      if (!shown.includes(name)) return null;
      const label = document.createElement('label');
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.name = name;
      label.append(box, text);
      place.append(label);
      return box;
    });
    this.choose(null);
  }

  chosen(): Set<number> {
    return new Set(this.#boxes.flatMap((box, kind) => (box?.checked ? [kind] : [])));
  }

  /** Names; null: as at first. */
  chosenIfChanged(): string[] | null {
    const names = [...this.chosen()].map((kind) => this.#data.kinds[kind]!);
    return names.join() === this.#atFirst.join() ? null : names;
  }

  choose(names: readonly string[] | null): void {
    for (const box of this.#boxes) {
      if (box !== null) box.checked = (names ?? this.#atFirst).includes(box.name);
    }
  }

  /** What each holds, of a range that is chosen what grew. */
  say(values: Held | null): void {
    const { rows, kinds } = this.#data;
    const sums = kinds.map(() => 0);
    rows.kind.forEach((kind, row) => {
      sums[kind]! += Math.max(values?.bytes[row] ?? rows.bytes[row]!, 0);
    });
    this.#texts.forEach((text, kind) => {
      text.textContent = `${kinds[kind]} ${bytesText(sums[kind]!)}`;
    });
  }
}
