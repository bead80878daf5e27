/** What the files that say where a process is charged have in them: text in, values out. */
import { MemdriftError } from '../errors.ts';

/** A mounted cgroup hierarchy that can charge memory. */
export interface CgroupMount {
  readonly version: 1 | 2;
  /** Where in the hierarchy the mount begins: in a container often not at its root. */
  readonly root: string;
  readonly folder: string;
}

/** A process's place in a hierarchy that can charge memory. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  /** As the kernel tells it: from the root of the reader's cgroup namespace. */
  readonly path: string;
}

function malformed(file: string, line: string): MemdriftError {
  const message = `A line of ${file} has not its documented form: '${line.slice(0, 200)}'.`;
  return new MemdriftError('ERR_MALFORMED', `${message} Please report it.`, { file, line });
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/**
 * The places in the text of /proc/PID/cgroup, version 1's memory controller before version 2: where
 * both are mounted, the first is what charges. @throws MemdriftError ERR_MALFORMED
 */
export function parseCgroupPlaces(text: string): CgroupPlace[] {
  const places: CgroupPlace[] = [];
  for (const line of linesOf(text)) {
    // hierarchy:controllers:path, and the path may have colons.
    const [, hierarchy, controllers, path] = /^(\d+):([^:]*):(\/.*)$/s.exec(line) ?? [];
    if (path === undefined) throw malformed('/proc/PID/cgroup', line);
    if (controllers?.split(',').includes('memory')) places.push({ version: 1, path });
    else if (hierarchy === '0' && controllers === '') places.push({ version: 2, path });
  }
  return places.sort((a, b) => a.version - b.version);
}

/**
 * The mounts in the text of /proc/PID/mountinfo that can charge memory.
 * @throws MemdriftError ERR_MALFORMED
 */
export function parseCgroupMounts(text: string): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of linesOf(text)) {
    const words = line.split(' ');
    const dash = words.indexOf('-', 6);
    const [type, , options] = words.slice(dash + 1);
    if (dash === -1 || type === undefined) throw malformed('/proc/PID/mountinfo', line);
    const version = type === 'cgroup2' ? 2 : 1;
    if (version === 1 && !(type === 'cgroup' && options?.split(',').includes('memory'))) continue;
    const [root, folder] = [words[3], words[4]].map((word) => unescaped(word as string));
    mounts.push({ version, root: root as string, folder: folder as string });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as octal numbers. */
function unescaped(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}

/** Where `place` is beneath `mount`, as a folder; null: the mount does not show it. */
export function folderBeneath(place: CgroupPlace, mount: CgroupMount): string | null {
  if (place.version !== mount.version) return null;
  const root = mount.root === '/' ? '' : mount.root;
  const path = place.path === '/' ? '' : place.path;
  // '/..' is outside of the namespace that the reader is in.
  if (/(^|\/)\.\.(\/|$)/.test(`${path}/`)) return null;
  if (path !== root && !path.startsWith(`${root}/`)) return null;
  return mount.folder + path.slice(root.length);
}

/** `name value` lines, as of memory.stat and memory.events. @throws MemdriftError ERR_MALFORMED */
export function parseFlatKeys(text: string, file = 'memory.stat'): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of linesOf(text)) {
    const [, name, value] = /^(\S+) (\d+)$/.exec(line) ?? [];
    if (name === undefined) throw malformed(file, line);
    values.set(name, Number(value));
  }
  return values;
}

/**
 * The number of a file that has one. @throws MemdriftError ERR_MALFORMED
 */
export function parseBytes(text: string, file: string): number {
  const line = text.trimEnd();
  if (!/^\d+$/.test(line)) throw malformed(file, line);
  return Number(line);
}

/** Version 1's "no limit" is the largest multiple of the page size that fits a signed long. */
const version1Unlimited = 2 ** 63 - 2 ** 17;

/**
 * The limit of a file that has one; null: no limit, `max` or version 1's largest number.
 * @throws MemdriftError ERR_MALFORMED
 */
export function parseLimit(text: string, file: string): number | null {
  if (text.trimEnd() === 'max') return null;
  const bytes = parseBytes(text, file);
  return bytes >= version1Unlimited ? null : bytes;
}
