/** The cgroup that a watch's processes are charged to, looked at now and then. */
import { isMemdriftError } from '../errors.ts';
import { type CgroupMemory, findCgroup, readCgroup, readCgroupProcesses } from '../proc/cgroup.ts';

/** What a report says of it. */
export interface WatchedCgroup {
  readonly folder: string;
  readonly version: 1 | 2;
  /** Processes in it that are not watched, at the beginning; their memory is in its figures. */
  readonly otherProcesses: number;
  /** At the look with the most charged. */
  readonly atPeak: Omit<CgroupMemory, 'folder' | 'version' | 'limits'> | null;
}

interface CgroupPlace {
  readonly folder: string;
  readonly mountFolder: string;
}

/** A look is a dozen reads of small files; the kernel keeps the peak between them. */
const leastGapMs = 1000;

export class CgroupEye {
  readonly #place: CgroupPlace;
  readonly #otherProcesses: number;
  #nextAtMs = 0;
  #atPeak: CgroupMemory | null = null;

  private constructor(place: CgroupPlace, otherProcesses: number) {
    this.#place = place;
    this.#otherProcesses = otherProcesses;
  }

  /**
   * Of the process `pid`, or at `folder`. Null where there is none, where its figures are hidden,
   * and for the root of all, which has no limit and is charged for everybody.
   */
  static open(at: { pid: number } | { folder: string }, watched: ReadonlySet<number>) {
    try {
      const place = placeOf(at);
      if (place === null) return null;
      const { pids } = readCgroupProcesses(place.folder);
      return new CgroupEye(place, pids.filter((pid) => !watched.has(pid)).length);
    } catch (error) {
      if (isMemdriftError(error)) return null;
      throw error;
    }
  }

  /** Null: it is not time yet, or it is gone. */
  look(): CgroupMemory | null {
    const nowMs = performance.now();
    if (nowMs < this.#nextAtMs) return null;
    this.#nextAtMs = nowMs + leastGapMs;
    try {
      const memory = readCgroup(this.#place.folder, this.#place.mountFolder);
      const { currentBytes } = memory;
      if ((currentBytes ?? 0) >= (this.#atPeak?.currentBytes ?? 0)) this.#atPeak = memory;
      return memory;
    } catch (error) {
      if (isMemdriftError(error)) return null;
      throw error;
    }
  }

  report(): WatchedCgroup | null {
    if (this.#atPeak === null) return null;
    const { folder, version, limits: _limits, ...atPeak } = this.#atPeak;
    return { folder, version, otherProcesses: this.#otherProcesses, atPeak };
  }
}

function placeOf(at: { pid: number } | { folder: string }): CgroupPlace | null {
  if ('folder' in at) return { folder: at.folder, mountFolder: '/sys/fs/cgroup' };
  const cgroup = findCgroup(at.pid);
  if (cgroup === null || cgroup.folder === null || cgroup.mountFolder === null) return null;
  const { path, folder, mountFolder } = cgroup;
  const isRoot = path === '/' && readCgroup(folder, mountFolder).effectiveLimitBytes === null;
  return isRoot ? null : { folder, mountFolder };
}
