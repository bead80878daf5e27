import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { nativePid, type Pid } from './arguments.ts';
import { findCgroup, readCgroup } from './cgroup.ts';
import { parseLimit } from './cgroup_text.ts';
import { type HeapLimitSource, heapLimitOf, heapOptions } from './heap_limit_rules.ts';

/** By what V8 limits the heap of a Node process, against what its cgroup allows. */
export interface HeapLimit {
  /** As `v8.getHeapStatistics().heap_size_limit` has it: of the main thread's heap alone. */
  readonly limitBytes: number;
  readonly source: HeapLimitSource;
  /** As its executable has it, like 22.12.0. */
  readonly nodeVersion: string;
  /**
   * A program can set another one while it runs; its environment is read as it was at the start.
   */
  readonly exactness: 'estimated';
  /** The memory that V8 took for its defaults: the machine's, or its own cgroup's limit. */
  readonly memoryBytes: number;
  /** The lowest limit up the hierarchy; null: none, or not known. */
  readonly cgroupLimitBytes: number | null;
  /**
   * True: the kernel kills it before V8 says that its heap is full. V8 takes its defaults from its
   * own cgroup and sees no limit above. Null: there is no limit, or it is not known.
   */
  readonly isAboveCgroup: boolean | null;
}

/**
 * What V8 limits the heap of `pid` to, from outside: its command line, NODE_OPTIONS, the version of
 * its executable, its cgroup. Null: it is not a Node that we know, or hides what is needed.
 * @throws MemdriftError ERR_GONE, ERR_INVALID
 */
export function readHeapLimit(pid: Pid): HeapLimit | null {
  const name = nativePid(pid) === -1 ? 'self' : String(pid);
  const words = processText(name, 'cmdline')?.split('\0').slice(0, -1);
  const environment = processText(name, 'environ')?.split('\0');
  const nodeVersion = versionOf(`/proc/${name}/exe`);
  if (words === undefined || environment === undefined || nodeVersion === null) return null;
  const nodeOptions = environment.find((one) => one.startsWith('NODE_OPTIONS='))?.slice(13) ?? '';
  const { own, lowest } = cgroupLimits(pid);
  const memoryBytes = Math.min(totalmem(), own ?? Infinity);
  const options = heapOptions(words, nodeOptions);
  const { limitBytes, source } = heapLimitOf(parseInt(nodeVersion, 10), options, memoryBytes);
  return {
    limitBytes,
    source,
    nodeVersion,
    exactness: 'estimated',
    memoryBytes,
    cgroupLimitBytes: lowest,
    isAboveCgroup: lowest === null ? null : limitBytes > lowest,
  };
}

/** Undefined: denied. */
function processText(pid: string, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') return undefined;
    const message = `Process ${pid} does not exist: its /proc/${pid}/${file} is gone.`;
    throw new MemdriftError('ERR_GONE', message, { pid, cause });
  }
}

/** The limit that Node itself looks at, its own cgroup's, and the lowest of all. */
function cgroupLimits(pid: Pid): { own: number | null; lowest: number | null } {
  try {
    const cgroup = findCgroup(pid);
    if (!cgroup?.folder || !cgroup.mountFolder) return { own: null, lowest: null };
    const { limits, effectiveLimitBytes } = readCgroup(cgroup.folder, cgroup.mountFolder);
    const first = limits.find(({ folder }) => folder === cgroup.folder);
    // Version 1's soft limit, which stands for version 2's `high` to Node.
    const soft = cgroup.version === 1 ? softLimit(cgroup.folder) : (first?.highBytes ?? null);
    const own = Math.min(first?.limitBytes ?? Infinity, soft ?? Infinity);
    return { own: own === Infinity ? null : own, lowest: effectiveLimitBytes };
  } catch (error) {
    if (!isMemdriftError(error) || error.code === 'ERR_GONE') throw error;
    return { own: null, lowest: null };
  }
}

function softLimit(folder: string): number | null {
  const file = join(folder, 'memory.soft_limit_in_bytes');
  try {
    return parseLimit(readFileSync(file, 'utf8'), file);
  } catch {
    return null;
  }
}

const chunkBytes = 1 << 20;
/** By the executable's device, inode and time: looking takes tenths of a second. */
const versions = new Map<string, string | null>();

/** Node's version is in the address of its own source, which the executable has. */
function versionOf(executable: string): string | null {
  let file: number;
  try {
    file = openSync(executable, 'r');
  } catch {
    return null;
  }
  try {
    const { dev, ino, mtimeMs } = fstatSync(file);
    const key = `${dev}:${ino}:${mtimeMs}`;
    const known = versions.get(key) ?? findVersion(file);
    versions.set(key, known);
    return known;
  } finally {
    closeSync(file);
  }
}

function findVersion(file: number): string | null {
  const buffer = Buffer.alloc(chunkBytes + 64);
  for (let at = 0; ; at += chunkBytes) {
    const length = readSync(file, buffer, 0, buffer.length, at);
    const text = buffer.toString('latin1', 0, length);
    const [, version] = /node-v(\d+\.\d+\.\d+)[\w.-]*\.tar\.gz/.exec(text) ?? [];
    if (version !== undefined) return version;
    if (length < buffer.length) return null;
  }
}
