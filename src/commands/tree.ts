/** `memdrift tree`: who called whom for how much memory; on a terminal to walk about in. */
import type { Command } from 'commander';
import { type CallNode, type CallTreeOptions, callTree } from '../analysis/call_tree.ts';
import { TreeBrowser } from '../analysis/tree_browser.ts';
import type { CaptureReport } from '../capture/capture_model.ts';
import { frameText } from '../report/frame_text.ts';
import { treeScreen, treeText } from '../report/tree_text.ts';
import { type ChoiceFlags, numberFrom1, readCounted, titleText, withChoice } from './choice.ts';
import { batches } from './output.ts';
import { wantsColor, writePieces } from './program.ts';
import { hasScreen, type Pressed, useScreen } from './screen.ts';

interface TreeFlags extends ChoiceFlags {
  readonly biggestAllocs: number;
  readonly maxDepth?: number;
  readonly inverted?: true;
  readonly hideInternals?: true;
}

/** Adds `memdrift tree`. */
export function registerTree(program: Command): void {
  withChoice(program.command('tree'))
    .description('who called whom for how much memory: with keys on a terminal, else as text')
    .argument('<file>', 'a capture')
    .option('-b, --biggest-allocs <n>', 'the stacks that held the most', numberFrom1, 200)
    .option('--max-depth <n>', 'of the text: functions further in are in those above', numberFrom1)
    .option('--inverted', 'innermost functions first')
    .option('--hide-internals', "the program's functions only, with what Node did for them")
    .action(tree);
}

async function tree(file: string, flags: TreeFlags): Promise<void> {
  const report = await readCounted(file, flags);
  const what = titleText(flags, report);
  const options = {
    isInverted: flags.inverted === true,
    hidesInternals: flags.hideInternals === true,
    biggest: flags.biggestAllocs,
  };
  if (!hasScreen()) {
    const { maxDepth = Number.POSITIVE_INFINITY } = flags;
    await writePieces(batches(treeText(callTree(report, options), { what, maxDepth })));
    return;
  }
  const keys = new TreeKeys(report, options);
  const color = wantsColor();
  await useScreen({
    draw: (size) => treeScreen(keys.browser, { ...size, what, color, message: keys.message }),
    press: (key) => keys.press(key),
  });
}

/** Lines of a page: what is less than the smallest terminal that is used. */
const pageLines = 15;

/** What keys do, one after another. */
class TreeKeys {
  #browser: TreeBrowser;
  readonly #report: CaptureReport;
  #options: CallTreeOptions;
  /** Null: no search is being typed. */
  #typing: string | null = null;
  #wanted = '';
  #message = '';

  constructor(report: CaptureReport, options: CallTreeOptions) {
    this.#report = report;
    this.#options = options;
    this.#browser = new TreeBrowser(callTree(report, options));
  }

  get browser(): TreeBrowser {
    return this.#browser;
  }

  get message(): string {
    return this.#typing === null ? this.#message : `/${this.#typing}`;
  }

  /** False: the end. */
  press(key: Pressed): boolean {
    this.#message = '';
    if (key.ctrl && key.name === 'c') return false;
    if (this.#typing !== null) this.#type(key, this.#typing);
    else if (key.name === 'q' || key.name === 'escape') return false;
    else this.#act(key);
    return true;
  }

  #act(key: Pressed): void {
    const actions: Record<string, () => void> = {
      up: () => this.#browser.move(-1),
      down: () => this.#browser.move(1),
      k: () => this.#browser.move(-1),
      j: () => this.#browser.move(1),
      pageup: () => this.#browser.move(-pageLines),
      pagedown: () => this.#browser.move(pageLines),
      home: () => this.#browser.move(Number.NEGATIVE_INFINITY),
      end: () => this.#browser.move(Number.POSITIVE_INFINITY),
      left: () => this.#browser.leave(),
      right: () => this.#browser.enter(),
      return: () => this.#browser.toggle(),
      space: () => this.#browser.toggle(),
      e: () => this.#browser.openBranch(),
      i: () => this.#change({ isInverted: !this.#options.isInverted }),
      u: () => this.#change({ hidesInternals: !this.#options.hidesInternals }),
      n: () => this.#search(),
    };
    if (key.text === '/') this.#typing = '';
    else actions[key.name ?? '']?.();
  }

  #type(key: Pressed, typed: string): void {
    if (key.name === 'return') {
      this.#wanted = typed;
      this.#typing = null;
      this.#search();
    } else if (key.name === 'escape') this.#typing = null;
    else if (key.name === 'backspace') this.#typing = [...typed].slice(0, -1).join('');
    else this.#typing = typed + key.text;
  }

  #search(): void {
    if (this.#wanted === '') return;
    const wanted = this.#wanted.toLowerCase();
    const hasText = ({ frame }: CallNode): boolean =>
      frame !== null && frameText(frame).toLowerCase().includes(wanted);
    if (!this.#browser.find(hasText)) this.#message = `no function has ${this.#wanted}`;
  }

  #change(options: Partial<CallTreeOptions>): void {
    this.#options = { ...this.#options, ...options };
    this.#browser = new TreeBrowser(callTree(this.#report, this.#options));
  }
}
