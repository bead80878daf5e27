import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, Children } from '../children.ts';

/** Processes that hold memory of known size (holder.c), in a memory cgroup of their own. */
export class Holders {
  readonly #children = new Children();
  readonly #folder = mkdtempSync(join(tmpdir(), 'memdrift-holders-'));
  readonly #program = join(this.#folder, 'holder');
  readonly #files: string[] = [];
  readonly #cgroup = join(cgroupRoot(), `memdrift-test-${process.pid}`);

  constructor() {
    execFileSync('cc', ['-O1', '-o', this.#program, join(import.meta.dirname, 'holder.c')]);
    mkdirSync(this.#cgroup, { recursive: true });
  }

  /** The cgroup's folder. */
  get cgroup(): string {
    return this.#cgroup;
  }

  /** In the cgroup from before its first instruction, so that whatever it touches is charged. */
  start(cgroup = this.#cgroup): Promise<Child> {
    const join = `echo $$ > ${cgroup}/cgroup.procs && exec ${this.#program}`;
    return this.#children.run('sh', ['-c', join]);
  }

  /** A cgroup in the cgroup, which has no processes then, with version 2. */
  innerCgroup(): string {
    const control = join(this.#cgroup, 'cgroup.subtree_control');
    if (existsSync(control)) writeFileSync(control, '+memory');
    const inner = join(this.#cgroup, 'inner');
    mkdirSync(inner);
    return inner;
  }

  /** A path in /dev/shm that is removed at the end. */
  file(label: string): string {
    const path = `/dev/shm/memdrift-test-${process.pid}-${label}`;
    this.#files.push(path);
    return path;
  }

  /** Anonymous and shmem pages charged to the cgroup, bytes; no page cache, no kernel memory. */
  chargedBytes(): number {
    const text = readFileSync(join(this.#cgroup, 'memory.stat'), 'utf8');
    const value = (name: string) => Number(text.match(new RegExp(`^${name} (\\d+)$`, 'm'))?.[1]);
    const version1 = /^total_rss /m.test(text);
    return version1 ? value('total_rss') + value('total_shmem') : value('anon') + value('shmem');
  }

  async end(): Promise<void> {
    await this.#children.endAll();
    for (const file of this.#files.splice(0)) rmSync(file, { force: true });
    for (let tries = 0; existsSync(this.#cgroup) && tries < 100; tries++) {
      try {
        const inner = join(this.#cgroup, 'inner');
        if (existsSync(inner)) rmdirSync(inner);
        rmdirSync(this.#cgroup);
      } catch {
        // A killed child of a holder is still on its way out.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function cgroupRoot(): string {
  return existsSync('/sys/fs/cgroup/memory') ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
}
