/** The experiment's command-line flags: one table for the parser, the checks and the help text. */

/** Under which heading the help shows a flag. */
export type FlagGroup = 'The experiment' | 'The store' | 'Measuring' | 'Output';

/** A flag that takes a number, with what it may be. */
export interface NumberFlag {
  readonly name: NumberFlagName;
  /** The original experiment's spelling, shown first in the help. */
  readonly alias?: string;
  readonly placeholder: string;
  readonly group: FlagGroup;
  readonly help: string;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  /** Whether 0.5 is a value. */
  readonly fractions: boolean;
}

export type NumberFlagName =
  | 'array-size'
  | 'obj-store-mem'
  | 'timeout'
  | 'poll-int'
  | 'clients'
  | 'rounds'
  | 'work-ms'
  | 'sample-ms'
  | 'observer-budget';

/** A flag that takes a word or a path, or (without placeholder) nothing. */
export interface TextFlag {
  readonly name: 'tmp-dir' | 'capture-dir' | 'captures' | 'placement' | 'json' | 'trim' | 'quiet';
  readonly alias?: string;
  readonly placeholder: string | null;
  /** On unless it is given as --no-NAME. */
  readonly negated?: true;
  readonly group: FlagGroup;
  readonly help: string;
}

/** The longest delay of a Node timer. */
const maxTimerMs = 2 ** 31 - 1;

export const numberFlags: readonly NumberFlag[] = [
  {
    name: 'clients',
    placeholder: 'n',
    group: 'The experiment',
    help: 'client processes beside the one server',
    fallback: 10,
    min: 1,
    max: 1000,
    unit: '',
    fractions: false,
  },
  {
    name: 'rounds',
    placeholder: 'n',
    group: 'The experiment',
    help: 'arrays each client gets and sends back',
    fallback: 20,
    min: 1,
    max: 1_000_000,
    unit: '',
    fractions: false,
  },
  {
    name: 'array-size',
    alias: 'array_size',
    placeholder: 'bytes',
    group: 'The experiment',
    help: 'size of each array',
    fallback: 100_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    fractions: false,
  },
  {
    name: 'obj-store-mem',
    alias: 'obj_store_mem',
    placeholder: 'bytes',
    group: 'The store',
    help: 'size of the shared store; by default lowered to what /dev/shm and memory hold',
    fallback: 10_000_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    fractions: false,
  },
  {
    name: 'work-ms',
    placeholder: 'ms',
    group: 'The experiment',
    help: 'work of a client on each array (it sleeps)',
    fallback: 1000,
    min: 0,
    max: maxTimerMs,
    unit: 'ms',
    fractions: true,
  },
  {
    name: 'timeout',
    placeholder: 's',
    group: 'The experiment',
    help: 'the run fails when not done by then',
    fallback: 1000,
    min: 0.001,
    max: Math.floor(maxTimerMs / 1000),
    unit: 's',
    fractions: true,
  },
  {
    name: 'poll-int',
    alias: 'poll_int',
    placeholder: 's',
    group: 'The experiment',
    help: "main asks for the server's status this often",
    fallback: 1,
    min: 0.001,
    max: Math.floor(maxTimerMs / 1000),
    unit: 's',
    fractions: true,
  },
  {
    name: 'sample-ms',
    placeholder: 'ms',
    group: 'Measuring',
    help: 'between two reads of the memory counters',
    fallback: 100,
    // The sampler's own least.
    min: 10,
    max: 60_000,
    unit: 'ms',
    fractions: false,
  },
  {
    name: 'observer-budget',
    placeholder: 'percent',
    group: 'Measuring',
    help: 'what full looks (PSS, USS) may cost',
    fallback: 1,
    min: 0.01,
    max: 100,
    unit: '% of a core',
    fractions: true,
  },
];

export const textFlags: readonly TextFlag[] = [
  {
    name: 'trim',
    placeholder: null,
    group: 'The store',
    help: 'processes give up their mapping of an array at its release: RSS falls, pages stay warm',
  },
  {
    name: 'placement',
    placeholder: 'lowest|rotate',
    group: 'The store',
    help:
      'where the next array goes: the lowest free address, or onwards round a window of three ' +
      "times the live bytes, as Ray's allocator does (default lowest)",
  },
  {
    name: 'tmp-dir',
    alias: 'ray_tmp',
    placeholder: 'dir',
    group: 'Output',
    help:
      'absolute folder for series.jsonl and store.log (default <cwd>/tmp/memdrift, or ' +
      "memdrift-<uid> in the system's temp folder where <cwd> cannot be written)",
  },
  {
    name: 'capture-dir',
    alias: 'mray_dir',
    placeholder: 'dir',
    group: 'Output',
    help:
      'an empty or new folder for the captures of main, server and client 0 ' +
      '(default: a new one, <cwd>/captures/<time>-<pid>)',
  },
  {
    name: 'captures',
    placeholder: null,
    negated: true,
    group: 'Output',
    help: 'record no allocations',
  },
  {
    name: 'json',
    placeholder: 'file',
    group: 'Output',
    help: 'write the report there as JSON, however the run ends',
  },
  { name: 'quiet', placeholder: null, group: 'Output', help: 'no progress line' },
];

const otherNames: ReadonlyMap<string, string> = new Map([
  ['ray-tmp', 'tmp-dir'],
  ['mray-dir', 'capture-dir'],
]);

/** The flag that `spelling` means: `array_size`, `array-size` and `arraySize` are one. */
export function canonicalFlagName(spelling: string): string {
  const dashed = spelling
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    .replaceAll('_', '-');
  return otherNames.get(dashed) ?? dashed;
}

/** Every spelling of a flag that the command line takes, without the dashes in front. */
export function spellingsOf({ name, alias }: NumberFlag | TextFlag): readonly string[] {
  const spoken = alias === undefined ? [name] : [alias, name];
  const both = spoken.flatMap((one) => [one, one.replaceAll('_', '-'), one.replaceAll('-', '_')]);
  return [...new Set(both)];
}
