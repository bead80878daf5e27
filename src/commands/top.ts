/** `memdrift top`: where the memory of processes is now, refreshed. */
import { type Command, Option } from 'commander';
import { topScreen, topText } from '../report/top_text.ts';
import { firstView, type SortKey, sortKeys, type TopView } from '../report/top_view.ts';
import { TopGroup } from '../top/top_group.ts';
import type { TopModel } from '../top/top_model.ts';
import { wantsColor, writeJson } from './program.ts';
import { hasScreen, useScreen } from './screen.ts';
import { type Shown, TopKeys } from './top_keys.ts';
import { numberOf, pidOf } from './values.ts';

interface TopFlags {
  readonly interval?: string;
  readonly budget?: string;
  readonly sort: SortKey;
  readonly tree?: true;
  readonly command?: true;
  readonly filter: string;
  readonly segment?: readonly string[];
  readonly once?: true;
  readonly json?: true;
}

/** Without a terminal nobody waits for the next look. */
const onceIntervalMs = 50;

/** Adds `memdrift top`; its action throws MemdriftError. */
export function registerTop(program: Command): void {
  program
    .command('top')
    .description('memory of processes, live: what RSS is of, PSS, USS, each page once, segments')
    .argument(
      '[pid...]',
      "these and all that they start (default: all of this user's, for root everybody's)",
    )
    .option('--interval <s>', 'between two looks (default: 0.5)')
    .option('--budget <percent>', 'of one core, for PSS and USS (default: 0.4)')
    .addOption(sortOption())
    .option('--tree', 'children below their parents')
    .option('--command', 'commands in the place of names')
    .option('--filter <text>', 'those with it in name, command or PID', '')
    .option('--segment <path...>', 'shared memory that the group owns (default: what it maps)')
    .option('--once', 'one look as text, which is all that a pipe or a file gets')
    .option('--json', 'one look as a JSON object; sizes in bytes, null: not known')
    .addHelpText('after', '\nOn a terminal h says which keys there are.')
    .action(top);
}

async function top(pids: string[], flags: TopFlags): Promise<void> {
  const seconds = numberOf('--interval', flags.interval, [0.05, 3600]) ?? 0.5;
  const budget = numberOf('--budget', flags.budget, [0, 100]) ?? 0.4;
  const isOnce = flags.once === true || flags.json === true || !hasScreen();
  const group = new TopGroup({
    pids: pids.map(pidOf),
    intervalMs: isOnce ? onceIntervalMs : seconds * 1000,
    budgetPercent: isOnce ? 0 : budget,
    segments: flags.segment ?? null,
  });
  const view: TopView = {
    ...firstView,
    sort: flags.sort,
    isTree: flags.tree === true,
    showsCommand: flags.command === true,
    filter: flags.filter,
  };
  try {
    if (isOnce) await printOnce(await group.lookOnce(), view, flags);
    else await showLive(group, view);
  } finally {
    await group.close();
  }
}

async function printOnce(model: TopModel, view: TopView, flags: TopFlags): Promise<void> {
  const { history: _, group: __, pids, ...look } = model;
  const options = { pids, segments: flags.segment ?? null };
  if (flags.json) await writeJson({ options, ...look });
  else process.stdout.write(topText(model, view, process.stdout.columns));
}

async function showLive(group: TopGroup, first: TopView): Promise<void> {
  const keys = new TopKeys(first);
  const color = wantsColor();
  let latest: TopModel | null = null;
  let model: TopModel | null = null;
  let shown: Shown = { offset: 0, bodyRows: 1 };
  await useScreen({
    draw: (size) => {
      if (!keys.isPaused || model === null) model = latest;
      if (model === null) return waitingLines(size.rows);
      const { view, offset, isPaused, showsHelp, message } = keys;
      const options = { ...size, view, offset, isPaused, showsHelp, message, color };
      const screen = topScreen(model, options);
      shown = screen;
      return screen.lines;
    },
    press: (key) => keys.press(key, shown),
    start: (redraw) => {
      group.watch((look) => {
        latest = look;
        if (!keys.isPaused) redraw();
      });
    },
  });
}

function waitingLines(rows: number): readonly string[] {
  return ['looking…', ...new Array<string>(Math.max(0, rows - 1)).fill('')];
}

function sortOption(): Option {
  const names = Object.keys(sortKeys);
  return new Option('--sort <by>', 'which are first').choices(names).default('rss');
}
