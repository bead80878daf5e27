import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MemdriftError } from '../errors.ts';
import { nativePid, type Pid } from './arguments.ts';
import { type CgroupFigures, type CgroupTexts, figuresOf } from './cgroup_figures.ts';
import {
  type CgroupMount,
  folderBeneath,
  parseCgroupMounts,
  parseCgroupPlaces,
  parseLimit,
} from './cgroup_text.ts';

/** Which cgroup a process's memory is charged to. */
export interface Cgroup {
  readonly version: 1 | 2;
  /** From the root of the hierarchy that this process can see. */
  readonly path: string;
  /** Null: no mount of ours shows it, as in many containers; its figures are then unknown. */
  readonly folder: string | null;
  /** Where the mount begins that shows it; limits are looked for up to here. */
  readonly mountFolder: string | null;
}

/** One limit of the hierarchy. */
export interface CgroupLimit {
  readonly folder: string;
  /** Null: none here. */
  readonly limitBytes: number | null;
  /** Above it processes are slowed down and reclaimed from, not killed; null: none. */
  readonly highBytes: number | null;
}

/** What a cgroup and what is beneath it are charged, and by what they are limited. */
export interface CgroupMemory extends CgroupFigures {
  readonly version: 1 | 2;
  readonly folder: string;
  /** From this cgroup up to the mount. */
  readonly limits: readonly CgroupLimit[];
  /**
   * The lowest limit of all that hold for it; null: none. With version 1 also of those above the
   * mount, which version 2 does not tell.
   */
  readonly effectiveLimitBytes: number | null;
  /** Whose limit that is; null: none, or one above the mount. */
  readonly effectiveLimitFolder: string | null;
}

/** Processes of a cgroup. */
export interface CgroupProcesses {
  readonly pids: readonly number[];
  /** Processes of other pid namespaces, which are in it but have no number here. */
  readonly hidden: number;
}

/** The text of a file, or null where it is not there: not in this kernel, or not in a root. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV') return null;
    // Version 1 without swap accounting, and a threaded cgroup's list of processes.
    if (code === 'EOPNOTSUPP' || code === 'ENOTSUP') return null;
    throw cannotRead(file, cause);
  }
}

function cannotRead(file: string, cause: unknown): MemdriftError {
  const { code: reason } = cause as NodeJS.ErrnoException;
  const code = reason === 'EACCES' || reason === 'EPERM' ? 'ERR_DENIED' : 'ERR_SYSTEM';
  const message = `${file} could not be read (${reason}). Run as the user whose cgroup it is.`;
  return new MemdriftError(code, message, { file, cause });
}

function versionOf(folder: string): 1 | 2 | null {
  if (textOf(join(folder, 'memory.usage_in_bytes')) !== null) return 1;
  if (textOf(join(folder, 'memory.stat')) !== null) return 2;
  return null;
}

/** The innermost of `folder` and what is above it that has the memory controller's files. */
function chargedFolder(folder: string, mountFolder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    if (versionOf(at) !== null) return at;
    if (at === mountFolder || at === dirname(at)) return null;
  }
}

/**
 * The cgroup that `pid`'s memory is charged to; with version 2 the innermost that has the memory
 * controller. Null: the kernel has no memory controller.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED, ERR_INVALID
 */
export function findCgroup(pid: Pid): Cgroup | null {
  const name = nativePid(pid) === -1 ? 'self' : String(pid);
  const text = processText(name);
  const mounts = parseCgroupMounts(processText('self', 'mountinfo'));
  let hidden: Cgroup | null = null;
  for (const place of parseCgroupPlaces(text)) {
    const shown = mounts.flatMap((mount) => folderIn(mount, folderBeneath(place, mount)));
    if (shown[0] !== undefined) return { ...place, ...pathOf(place.path, shown[0]) };
    const mounted = mounts.some(({ version }) => version === place.version);
    // Where it is mounted and has no memory files, another controller's hierarchy is meant.
    if (place.version === 1 || !mounted || place.path.startsWith('/..'))
      hidden ??= { ...place, folder: null, mountFolder: null };
  }
  return hidden;
}

interface ShownFolder {
  readonly folder: string;
  readonly mountFolder: string;
  /** How many folders of the path are below the one that is charged. */
  readonly below: number;
}

function folderIn(mount: CgroupMount, folder: string | null): ShownFolder[] {
  if (folder === null) return [];
  const charged = chargedFolder(folder, mount.folder);
  if (charged === null) return [];
  const below = folder.slice(charged.length).split('/').filter(Boolean).length;
  return [{ folder: charged, mountFolder: mount.folder, below }];
}

function pathOf(path: string, { folder, mountFolder, below }: ShownFolder) {
  let charged = path;
  for (let i = 0; i < below; i++) charged = dirname(charged);
  return { path: charged, folder, mountFolder };
}

function processText(pid: string, file = 'cgroup'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ESRCH') throw cannotRead(`/proc/${pid}/${file}`, cause);
    const message = `Process ${pid} does not exist: its /proc/${pid}/${file} is gone.`;
    throw new MemdriftError('ERR_GONE', message, { pid, cause });
  }
}

/**
 * What the cgroup at `folder` (as findCgroup has it, or a path that a person gives) is charged.
 * Limits are looked for up to `mountFolder`. A few files, each read at its own moment.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_MALFORMED, ERR_UNSUPPORTED
 */
export function readCgroup(folder: string, mountFolder = '/sys/fs/cgroup'): CgroupMemory {
  const version = versionOf(folder);
  if (version === null) throw noFigures(folder);
  const texts: CgroupTexts = (file) => textOf(join(folder, file));
  const { hierarchicalLimitBytes, ...figures } = figuresOf(version, texts);
  const limits = limitsOf(version, folder, mountFolder);
  let lowest: CgroupLimit | null = null;
  for (const one of limits) {
    if (one.limitBytes === null) continue;
    if ((lowest?.limitBytes ?? Infinity) > one.limitBytes) lowest = one;
  }
  const above = hierarchicalLimitBytes ?? Infinity;
  const higherUp = above < (lowest?.limitBytes ?? Infinity);
  return {
    version,
    folder,
    ...figures,
    limits,
    effectiveLimitBytes: higherUp ? above : (lowest?.limitBytes ?? null),
    effectiveLimitFolder: higherUp ? null : (lowest?.folder ?? null),
  };
}

function noFigures(folder: string): MemdriftError {
  if (textOf(join(folder, 'cgroup.procs')) === null) {
    const message = `There is no cgroup at ${folder}. Pass its folder beneath /sys/fs/cgroup.`;
    return new MemdriftError('ERR_GONE', message, { folder });
  }
  const message =
    `The cgroup at ${folder} has no memory controller: its folder has neither memory.stat nor ` +
    'memory.usage_in_bytes. Pass one that has, or use findCgroup.';
  return new MemdriftError('ERR_UNSUPPORTED', message, { folder });
}

function limitsOf(version: 1 | 2, folder: string, mountFolder: string): CgroupLimit[] {
  const [limitFile, highFile] =
    version === 1 ? ['memory.limit_in_bytes', null] : ['memory.max', 'memory.high'];
  const limits: CgroupLimit[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const limit = textOf(join(at, limitFile));
    const high = highFile === null ? null : textOf(join(at, highFile));
    // The root of version 2 has none, and no cgroup at all has none of the two.
    if (limit !== null)
      limits.push({
        folder: at,
        limitBytes: parseLimit(limit, join(at, limitFile)),
        highBytes: high === null ? null : parseLimit(high, join(at, 'memory.high')),
      });
    if (at === mountFolder || at === dirname(at)) return limits;
  }
}

/**
 * Processes of the cgroup at `folder` and of all beneath it, in no order that means anything.
 * @throws MemdriftError ERR_GONE, ERR_DENIED
 */
export function readCgroupProcesses(folder: string): CgroupProcesses {
  const pids = new Set<number>();
  let hidden = 0;
  const visit = (at: string): boolean => {
    const text = textOf(join(at, 'cgroup.procs'));
    for (const line of text?.split('\n') ?? []) {
      if (line === '0') hidden++;
      else if (line !== '') pids.add(Number(line));
    }
    for (const name of foldersIn(at)) visit(join(at, name));
    return text !== null;
  };
  if (!visit(folder)) throw noFigures(folder);
  return { pids: [...pids], hidden };
}

/** None, where the cgroup has been removed meanwhile. */
function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cannotRead(folder, cause);
  }
}
