/** What keys do to `memdrift top`: how a look is shown, not what is looked at. */
import { firstView, type SortKey, type TopView } from '../report/top_view.ts';
import type { Pressed } from './screen.ts';

/** The screen that a key was pressed on. */
export interface Shown {
  readonly offset: number;
  readonly bodyRows: number;
}

const sortOf: Readonly<Record<string, SortKey>> = {
  r: 'rss',
  p: 'pss',
  u: 'uss',
  a: 'anon',
  f: 'file',
  s: 'shmem',
  w: 'swap',
  i: 'pid',
  n: 'name',
};

export class TopKeys {
  #view: TopView;
  #offset = 0;
  #isPaused = false;
  #showsHelp = false;
  #isTyping = false;

  constructor(view: Partial<TopView> = {}) {
    this.#view = { ...firstView, ...view };
  }

  get view(): TopView {
    return this.#view;
  }

  get offset(): number {
    return this.#offset;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get showsHelp(): boolean {
    return this.#showsHelp;
  }

  /** What is being typed; empty: nothing is. */
  get message(): string {
    return this.#isTyping ? `/${this.#view.filter}` : '';
  }

  /** False: the end. */
  press(key: Pressed, shown: Shown): boolean {
    if (key.ctrl && key.name === 'c') return false;
    if (this.#isTyping) {
      this.#type(key);
      return true;
    }
    const wasHelp = this.#showsHelp;
    this.#showsHelp = false;
    if (key.text === 'q') return false;
    if (key.name === 'escape') {
      if (!wasHelp) this.#setFilter('');
    } else if (key.text === 'h' || key.text === '?') this.#showsHelp = !wasHelp;
    else if (!this.#move(key, shown)) this.#act(key.text);
    return true;
  }

  #move({ name }: Pressed, { offset, bodyRows }: Shown): boolean {
    const moves: Readonly<Record<string, number>> = {
      up: -1,
      down: 1,
      pageup: -bodyRows,
      pagedown: bodyRows,
      home: Number.NEGATIVE_INFINITY,
      end: Number.POSITIVE_INFINITY,
    };
    const by = moves[name ?? ''];
    if (by === undefined) return false;
    // From what is shown: what was asked for may have been too far.
    this.#offset = Math.max(0, offset + by);
    return true;
  }

  #act(text: string): void {
    const view = this.#view;
    const sort = sortOf[text];
    if (sort !== undefined) this.#view = { ...view, sort, isReversed: false };
    else if (text === 'R') this.#view = { ...view, isReversed: !view.isReversed };
    else if (text === 't') this.#view = { ...view, isTree: !view.isTree };
    else if (text === 'c') this.#view = { ...view, showsCommand: !view.showsCommand };
    else if (text === 'g') this.#view = { ...view, showsSegments: !view.showsSegments };
    else if (text === ' ') this.#isPaused = !this.#isPaused;
    else if (text === '/') this.#isTyping = true;
  }

  /** The filter is obeyed as it is typed. */
  #type(key: Pressed): void {
    const { filter } = this.#view;
    if (key.name === 'return' || key.name === 'escape') this.#isTyping = false;
    if (key.name === 'escape') this.#setFilter('');
    else if (key.name === 'backspace') this.#setFilter([...filter].slice(0, -1).join(''));
    else if (!key.ctrl && !key.meta) this.#setFilter(filter + key.text);
  }

  #setFilter(filter: string): void {
    this.#view = { ...this.#view, filter };
    this.#offset = 0;
  }
}
