/** Processes that share memory of known size (test/fixtures/group/sharer.c), and what is true. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../tidy/files.ts';

export class Sharers {
  readonly folder = mkdtempSync(join(tmpdir(), 'memdrift-group-'));
  readonly #program = join(this.folder, 'sharer');
  readonly #all: ChildProcess[] = [];

  constructor() {
    const source = join(root, 'test/fixtures/group/sharer.c');
    // Static, so that other programs that begin and end change no share of its pages.
    execFileSync('cc', ['-O1', '-static', '-o', this.#program, source]);
  }

  /** The pids of all its processes, the first one's last. */
  async start(...operations: readonly string[]): Promise<number[]> {
    const child = spawn(this.#program, operations, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#all.push(child);
    const next = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    if (next.done) throw new Error(`sharer ${operations.join(' ')} ended`);
    return next.value.split(' ').slice(1).map(Number);
  }

  async endAll(): Promise<void> {
    for (const child of this.#all.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

const pageBytes = 4096;

interface MappedRange {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
  /** Device and inode; null: anonymous memory. */
  readonly file: string | null;
  readonly pssBytes: number;
}

function rangesOf(pid: number): MappedRange[] {
  const ranges: MappedRange[] = [];
  const text = readFileSync(`/proc/${pid}/smaps`, 'latin1');
  for (const part of text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const head = /^(\w+)-(\w+) \S+ (\w+) (\S+) (\d+)/.exec(part);
    const pss = /^Pss: +(\d+) kB/m.exec(part);
    if (head === null || pss === null) continue;
    const [, start, end, offset, device, inode] = head as unknown as string[];
    ranges.push({
      start: Number.parseInt(start as string, 16),
      end: Number.parseInt(end as string, 16),
      offset: Number.parseInt(offset as string, 16),
      file: device === '00:00' ? null : `${device}:${inode}`,
      pssBytes: Number(pss[1]) * 1024,
    });
  }
  return ranges;
}

/** Offsets of the pages of a file that a range maps; copies that it made are not the file's. */
function pagesOf(pid: number, { start, end, offset }: MappedRange): number[] {
  const count = (end - start) / pageBytes;
  const entries = Buffer.alloc(8 * count);
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  readSync(fd, entries, 0, entries.length, (start / pageBytes) * 8);
  closeSync(fd);
  const isFilePage = (i: number): boolean => {
    const high = entries.readUInt32LE(8 * i + 4);
    return high >>> 31 === 1 && (high & (1 << 29)) !== 0;
  };
  return Array.from({ length: count }, (_, i) => i)
    .filter(isFilePage)
    .map((i) => offset + i * pageBytes);
}

/**
 * Physical memory of these processes, each page once, by our own reading: the sum of Pss, and those
 * pages of `files` (paths, by device and inode) that none of their page maps has.
 */
export function physicalBytes(
  pids: readonly number[],
  files: ReadonlyMap<string, string>,
): { bytes: number; mappings: number } {
  const ranges = pids.flatMap((pid) => rangesOf(pid).map((range) => ({ pid, range })));
  const pss = ranges.reduce((sum, { range }) => sum + range.pssBytes, 0);
  let unmapped = 0;
  for (const [file, path] of files) {
    const mapped = new Set(
      ranges.flatMap(({ pid, range }) => (range.file === file ? pagesOf(pid, range) : [])),
    );
    unmapped += statSync(path).blocks * 512 - mapped.size * pageBytes;
  }
  return { bytes: pss + unmapped, mappings: ranges.length };
}

/** As smaps prints it. */
export function fileKey(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  const major = ((dev >> 8n) & 0xfffn).toString(16).padStart(2, '0');
  const minor = (dev & 0xffn).toString(16).padStart(2, '0');
  return `${major}:${minor}:${ino}`;
}
