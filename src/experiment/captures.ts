/** The captures of a run: main, the server and the first client each write one. */
import { join } from 'node:path';
import { isMemdriftError } from '../errors.ts';
import { captureName } from '../tracker/capture_info.ts';
import { Tracker } from '../tracker/tracker.ts';
import { makeFolders } from './folders.ts';

/** Begins to track this process; null: it cannot be, or is already, and the run goes on without. */
export function trackThisProcess(folder: string, role: string): Tracker | null {
  try {
    return new Tracker(join(folder, captureName(role)), { role });
  } catch (error) {
    if (isMemdriftError(error, 'ERR_UNSUPPORTED') || isMemdriftError(error, 'ERR_STATE')) {
      return null;
    }
    throw error;
  }
}

/** What main knows of the captures. */
export class Captures {
  /** Where they are; null: none are written. */
  readonly folder: string | null;
  readonly #tracker: Tracker | null;

  private constructor(folder: string | null, tracker: Tracker | null) {
    this.folder = folder;
    this.#tracker = tracker;
  }

  /** Makes the folder and begins to track main. @throws MemdriftError what hinders it. */
  static begin(folder: string | null): Captures {
    if (folder === null) return new Captures(null, null);
    makeFolders(folder);
    return new Captures(folder, trackThisProcess(folder, 'main'));
  }

  end(): void {
    this.#tracker?.[Symbol.dispose]();
  }
}
