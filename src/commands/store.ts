/** `memdrift store`: what is in a shared-memory store, while programs use it. */
import type { Command } from 'commander';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { type StoreView, storeListText, storeStatsText } from '../report/store_text.ts';
import { Segment } from '../shm/segment.ts';
import { Store } from '../shm/store.ts';
import { wantsColor, writeJson } from './program.ts';

interface JsonFlag {
  readonly json?: boolean;
}

const nameHelp = 'the store; may be left away when there is exactly one';

/** Adds `store` with its subcommands to `program`. */
export function addStore(program: Command): void {
  const store = program
    .command('store')
    .summary('look into a shared-memory store while programs use it')
    .description('Looks into a shared-memory store of this user while programs use it.');
  store
    .command('ls')
    .summary('one line per object')
    .description('One line per object: its size, who made it on which source line, who holds it.')
    .argument('[name]', nameHelp)
    .option('--json', 'as JSON; sizes in bytes')
    .action((name: string | undefined, flags: JsonFlag) => show(name, flags, storeListText));
  store
    .command('stats')
    .summary('live objects, arena in use, resident pages')
    .description("The store's three sizes: live objects, arena in use, resident pages.")
    .argument('[name]', nameHelp)
    .option('--json', 'as JSON; sizes in bytes')
    .action((name: string | undefined, flags: JsonFlag) => show(name, flags, storeStatsText));
  store
    .command('rm')
    .summary('delete objects')
    .description(
      'Deletes objects: nobody can get them any more, and their room is free when the last ' +
        'holder releases them. A program that was going to get one fails.',
    )
    .argument('[name]', nameHelp)
    .argument('[id...]', 'ids as `store ls` shows them')
    .option('--all', 'every sealed object that nobody holds')
    .option('--json', 'as JSON: which were deleted')
    .action((name: string | undefined, ids: readonly string[], flags: RemoveFlags) =>
      remove(name === undefined ? [] : [name, ...ids], flags),
    );
}

type Render = (view: StoreView, options: { readonly color: boolean }) => string;

async function show(name: string | undefined, flags: JsonFlag, render: Render): Promise<void> {
  using store = await openForLooking(name);
  const { path } = store;
  const view = { name: store.name, path, stats: store.stats(), objects: store.list() };
  if (flags.json) await writeJson({ options: { name: name ?? null }, ...view });
  else process.stdout.write(render(view, { color: wantsColor() }));
}

interface RemoveFlags extends JsonFlag {
  readonly all?: boolean;
}

/** `words` are ids with the store's name in front, or not: a name may not be mistaken for an id. */
async function remove(words: readonly string[], flags: RemoveFlags): Promise<void> {
  const [first] = words;
  const isNamed = first !== undefined && (!/^\d+$/.test(first) || storeNames().includes(first));
  const ids = (isNamed ? words.slice(1) : words).map(idOf);
  if ((ids.length === 0) === (flags.all !== true)) {
    throw new MemdriftError('ERR_INVALID', 'give either the ids of objects to delete or --all');
  }
  using looking = await openForLooking(isNamed ? first : undefined);
  using store = await Store.open(looking.name, { label: 'memdrift store rm' });
  const unheld = () =>
    store.list().filter(({ state, holders }) => state === 'sealed' && holders.length === 0);
  const deleted: number[] = [];
  for (const id of flags.all ? unheld().map((info) => info.id) : ids) {
    store.delete(id);
    deleted.push(id);
  }
  if (flags.json) {
    await writeJson({ options: { all: flags.all === true }, name: store.name, deleted });
    return;
  }
  const what = deleted.length === 0 ? 'nothing' : deleted.join(', ');
  process.stdout.write(`store ${store.name}: deleted ${what}\n`);
}

function idOf(word: string): number {
  const id = Number(word);
  if (/^\d+$/.test(word) && Number.isSafeInteger(id)) return id;
  throw new MemdriftError('ERR_INVALID', `${word} is no object id; \`memdrift store ls\` has them`);
}

function storeNames(): readonly string[] {
  return Segment.list()
    .filter(({ kind }) => kind === 'store')
    .map(({ name }) => name);
}

/** The store that is named, or the only one that somebody is attached to. */
async function openForLooking(name: string | undefined): Promise<Store> {
  if (name !== undefined) return openNamed(name);
  const live: Store[] = [];
  for (const candidate of storeNames()) {
    const store = await openIfThere(candidate);
    if (store === null) continue;
    if (isAttachedTo(store)) live.push(store);
    else store.close();
  }
  const [only, ...others] = live;
  if (only !== undefined && others.length === 0) return only;
  for (const store of live) store.close();
  if (only === undefined) {
    throw new MemdriftError('ERR_GONE', 'no program of this user has a store open now');
  }
  const names = live.map((store) => store.name).join(', ');
  throw new MemdriftError('ERR_INVALID', `there are ${live.length} stores, name one of: ${names}`);
}

async function openNamed(name: string): Promise<Store> {
  try {
    return await Store.open(name, { readOnly: true });
  } catch (cause) {
    if (!isMemdriftError(cause, 'ERR_GONE')) throw cause;
    const names = storeNames();
    const there = names.length === 0 ? 'this user has none' : `there are: ${names.join(', ')}`;
    throw new MemdriftError('ERR_GONE', `there is no store ${name}; ${there}`, { cause });
  }
}

/** A store that is damaged counts for nothing here: it can be looked at by its name. */
function isAttachedTo(store: Store): boolean {
  try {
    return store.stats().clients > 0;
  } catch {
    return false;
  }
}

/** Null for a store that went away, or was no good, since it was listed. */
async function openIfThere(name: string): Promise<Store | null> {
  try {
    return await Store.open(name, { readOnly: true });
  } catch {
    return null;
  }
}
