/** How a Node program is started so that it and its children are tracked from the first line. */
import { fileURLToPath } from 'node:url';
import type { TrackerOptions } from './options.ts';

/** What the preload is told, as JSON in the variable MEMDRIFT_TRACK. */
export interface PreloadOrder {
  /** Where captures without a name of their own go; absolute. */
  readonly folder: string;
  /** The capture of the program itself; absolute, or null: named like the others. */
  readonly file: string | null;
  /** Whose child is the program itself; others are its descendants. */
  readonly launcherPid: number;
  readonly options: Omit<TrackerOptions, 'role' | 'paused'>;
}

export const orderVariable = 'MEMDRIFT_TRACK';

/** `environment` with what makes Node load the preload; what NODE_OPTIONS had stays before it. */
export function trackedEnvironment(
  environment: NodeJS.ProcessEnv,
  order: PreloadOrder,
): NodeJS.ProcessEnv {
  const before = environment.NODE_OPTIONS ? `${environment.NODE_OPTIONS} ` : '';
  return {
    ...environment,
    NODE_OPTIONS: `${before}--require ${quoted(preloadPath())}`,
    [orderVariable]: JSON.stringify(order),
  };
}

function preloadPath(): string {
  return fileURLToPath(new URL('./preload.cjs', import.meta.url));
}

/** As NODE_OPTIONS wants a path with spaces: in quotes, with quotes and backslashes escaped. */
function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}
