/** How a Node program is started so that it and its children are tracked from the first line. */
import { fileURLToPath } from 'node:url';
import { binding } from '../binding.ts';
import type { TrackerOptions } from './options.ts';
import { publicPreload } from './public_preload.ts';

/** Modules as they are compiled: the same seen from here and from where this is compiled to. */
const compiled = (name: string): string =>
  fileURLToPath(new URL(`../../dist/tracker/${name}`, import.meta.url));

/** The module that makes a capture's command line, in a tracked program and here. */
export const commandLineModule = compiled('command_line.cjs');

/** What a program loads that wants its JavaScript heap in its capture. */
export const jsHeapModule = compiled('js_heap.cjs');

/** What the preload is told, as JSON in the variable MEMDRIFT_TRACK. */
export interface PreloadOrder {
  /** Where captures without a name of their own go; absolute. */
  readonly folder: string;
  /** The capture of the program itself; absolute, or null: named like the others. */
  readonly file: string | null;
  /**
   * The launcher, which became the program; null in the order of a program that tracks itself, for
   * its children.
   */
  readonly launcherPid: number | null;
  /** Names the run in captures of all its processes; missing: they are of none. */
  readonly run?: string;
  /** Where a tracked program has its socket, checked to be this user's own; null: nowhere. */
  readonly socketFolder: string | null;
  readonly options: Omit<TrackerOptions, 'role' | 'paused'>;
  /**
   * The launcher's filters of system calls. A process with more has got one in between, which may
   * end it for a call of the tracker, and is not tracked.
   */
  readonly filters?: number;
}

export const orderVariable = 'MEMDRIFT_TRACK';

/** `environment` with what makes Node load the preload; what NODE_OPTIONS had stays before it. */
export function trackedEnvironment(
  environment: NodeJS.ProcessEnv,
  order: PreloadOrder,
): NodeJS.ProcessEnv {
  return { ...environment, ...trackedVariables(environment, order) };
}

/** Does so to this process's own environment, for its children; what it gives sets it back. */
export function trackChildren(order: PreloadOrder): () => void {
  const before = process.env.NODE_OPTIONS;
  const variables = trackedVariables(process.env, order);
  Object.assign(process.env, variables);
  return () => {
    delete process.env[orderVariable];
    // Unless the program has set it itself since.
    if (process.env.NODE_OPTIONS !== variables.NODE_OPTIONS) return;
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  };
}

function trackedVariables(
  environment: NodeJS.ProcessEnv,
  order: PreloadOrder,
): Record<string, string> {
  const option = requireOption();
  const given = environment.NODE_OPTIONS ?? '';
  // A launcher that is tracked itself has the option already.
  const before =
    given === '' || given.endsWith(option) ? given.slice(0, -option.length) : `${given} `;
  return {
    NODE_OPTIONS: `${before}${option}`,
    [orderVariable]: JSON.stringify({ ...order, filters: binding().trackerFilters() }),
  };
}

/** What NODE_OPTIONS gets for the preload. */
function requireOption(): string {
  return `--require ${quoted(publicPreload(compiled('preload.cjs')))}`;
}

/** As NODE_OPTIONS wants a path with spaces: in quotes, with quotes and backslashes escaped. */
function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}
