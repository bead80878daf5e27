/**
 * What is in a page: the capture as columns, so that a million stacks are read in a second. Made by
 * page_data.ts, read by src/page in a browser.
 */

/** Sizes in bytes, times in ms since the capture began. */
export interface PageData {
  readonly title: string;
  /** What the rows' bytes are. */
  readonly moment: 'peak' | 'end' | 'temporary';
  /** The end of the title: live memory that is not in the rows. */
  readonly leftOut: string;
  /** How it is shown at first. */
  readonly isInverted: boolean;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly damage: string | null;
  /** The way that it ended, when it was not closed. */
  readonly notice: string | null;
  /** Of the heap's kinds together, whatever the page is about. */
  readonly peak: { readonly bytes: number; readonly atMs: number };
  /** Of functions, by column. */
  readonly frames: {
    readonly name: readonly string[];
    /** The file, with the line where it is known; empty: not known. */
    readonly place: readonly string[];
    readonly kind: readonly FrameKind[];
  };
  /**
   * Stacks as a tree, callers before callees; 0 is the empty stack. `up`: how many numbers before a
   * node its caller is, which is mostly 1 and so half as long as the caller's number.
   */
  readonly nodes: { readonly up: readonly number[]; readonly frame: readonly number[] };
  readonly kinds: readonly string[];
  /** Those of the process alone; the others are pages that are counted elsewhere too. */
  readonly heapKinds: readonly string[];
  readonly threads: readonly string[];
  readonly rows: {
    readonly node: readonly number[];
    readonly kind: readonly number[];
    readonly thread: readonly number[];
    readonly bytes: readonly number[];
    /** Null: not known. */
    readonly count: readonly (number | null)[];
  };
  /** A row per look; null: not known. */
  readonly series: Readonly<Record<SeriesName, readonly (number | null)[]>>;
  /** Stacks beyond the largest are counted with their callers: how many, and what they hold. */
  readonly merged: { readonly stacks: number; readonly bytes: number };
  readonly moments: readonly {
    readonly timeMs: number;
    readonly label: string | null;
    readonly isPeak: boolean;
  }[];
  /** Four numbers per change: moment, row, bytes, count. */
  readonly changes: readonly number[];
}

/** What rows of a moment are, in titles of pages and commands. */
export const momentTexts = {
  peak: 'live at the peak',
  end: 'live at the end',
  temporary: 'freed soon after, in all',
} as const satisfies Record<PageData['moment'], string>;

/** Notices on a capture's end; null: it was closed. */
export const endingTexts = {
  closed: null,
  'max-bytes': 'closed at its largest size (--max-bytes): what came later is not in it',
  'write-failed': 'not closed (a write to it failed, as on a full disk); complete up to then',
  'calls-forbidden':
    'closed before the program forbade system calls (seccomp): what came later is not in it',
  killed: 'not closed (the process was killed); complete up to its last 100 ms',
  running: 'not closed (the process still runs); complete up to its last 100 ms',
} as const satisfies Record<string, string | null>;

/** 0: the program's JavaScript; 1: Node's own JavaScript; 2: native. */
export type FrameKind = 0 | 1 | 2;

export const seriesNames = [
  'timeMs',
  'rssAnon',
  'rssFile',
  'rssShmem',
  'heapTotal',
  'heapUsed',
  'external',
  'tracked',
  'mappedResident',
] as const;
export type SeriesName = (typeof seriesNames)[number];

type Column = readonly (number | null)[];

/** The index of a run: its processes on one axis. */
export interface IndexData {
  readonly title: string;
  /** The page of the logs of a watch that are beside the captures. */
  readonly logs?: string;
  readonly processes: readonly {
    readonly name: string;
    readonly href: string;
    readonly pid: number;
    /** Its masked arguments; null: the capture does not say. */
    readonly command: string | null;
    /** Names the run that it is of: a folder may have several; null: the capture does not say. */
    readonly run: string | null;
    /** Since 1970; null: the capture does not say. */
    readonly startedAtMs: number | null;
    readonly peakRssBytes: number | null;
    readonly peakTrackedBytes: number;
    readonly leakedBytes: number;
    readonly events: number;
    /** Its descendants without a capture, the largest first, with lower bounds of their peaks. */
    readonly others: readonly {
      readonly pid: number;
      readonly command: string;
      readonly peakRssBytes: number;
    }[];
    readonly damage: string | null;
    readonly notice: string | null;
    /** Fewer looks than the capture has, if it has many: a screen has no more. */
    readonly series: Readonly<
      Record<'timeMs' | 'rssAnon' | 'rssFile' | 'rssShmem' | 'tracked', Column>
    >;
  }[];
  /** Of all processes of the run, also those without a capture; null: nobody measured it. */
  readonly group: {
    /** At most so many at a time. */
    readonly processes: number;
    /** Since 1970. */
    readonly timeMs: readonly number[];
    /** Each page once; null: not known. */
    readonly footprintBytes: Column;
    readonly sumRssBytes: Column;
  } | null;
}
