/** Stores that are larger than what the process may map. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageUrl } from '../shm/processes.ts';

const capacityBytes = 6e9;

function sourceOf(script: string): string {
  return `
    const { Store } = await import(${JSON.stringify(packageUrl)});
    const name = 'limited-' + process.pid;
    const store = await Store.create({ name, capacityBytes: ${capacityBytes} });
    const print = (said) => console.log(JSON.stringify(said));
    ${script}`;
}

/** What `script` prints as JSON, in a process of which RLIMIT_AS is `limitBytes`. */
function limited(limitBytes: number, script: string): Record<string, unknown> {
  const node = [process.execPath, '--input-type=module', '-e', sourceOf(script)];
  return JSON.parse(execFileSync('prlimit', [`--as=${limitBytes}`, ...node], { encoding: 'utf8' }));
}

/** The same, in a process that reads vm.overcommit_memory as `policy`; the machine keeps its. */
function withOvercommit(policy: string, script: string): Record<string, unknown> {
  const mount = 'mount --bind "$0" /proc/sys/vm/overcommit_memory && exec "$@"';
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-overcommit-'));
  try {
    writeFileSync(join(folder, 'policy'), policy);
    const node = [process.execPath, '--input-type=module', '-e', sourceOf(script)];
    const shell = ['--mount', 'sh', '-c', mount, join(folder, 'policy'), ...node];
    return JSON.parse(execFileSync('unshare', shell, { encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('a store larger than the address space', () => {
  it('maps each object by itself, and keeps what the whole mapping promises', () => {
    const said = limited(
      4e9,
      `
      const ids = [];
      for (let i = 0; i < 20; i++) ids.push(await store.put(new Uint8Array(1e7).fill(i)));
      const made = store.create(1e7);
      made.bytes.fill(99);
      made.seal();
      const right = [];
      for (const [i, id] of [...ids.entries(), [99, made.id]]) {
        const object = await store.get(id);
        right.push(Buffer.alloc(1e7, i).equals(object.bytes));
        object.bytes.fill(7);
        object.release();
        const again = await store.get(id);
        right.push(Buffer.alloc(1e7, i).equals(again.bytes));
        again.release();
        store.delete(id);
      }
      const { consumerViews } = store.stats();
      store.close();
      print({ consumerViews, right: right.every(Boolean), looks: right.length });`,
    );
    expect(said).toEqual({ consumerViews: 'mapped-each', right: true, looks: 42 });
  });

  it('refuses an object that cannot be mapped with ERR_NO_MEMORY, and goes on', () => {
    const said = limited(
      4e9,
      `
      let code = 'ok';
      try { store.create(3.9e9); } catch (error) { code = error.code; }
      const id = await store.put(new Uint8Array(1e6).fill(1));
      const { objects } = store.stats();
      store.close();
      print({ code, objects, isId: id >= 0 });`,
    );
    expect(said).toEqual({ code: 'ERR_NO_MEMORY', objects: 1, isId: true });
  });

  it.each([
    ['2\n', 'mapped-each'],
    ['0\n', 'mapped'],
  ])('is mapped as a whole only where that is not charged in full: policy %j', (policy, views) => {
    const said = withOvercommit(
      policy,
      `
      const id = await store.put(new Uint8Array(1e6).fill(1));
      const object = await store.get(id);
      const right = Buffer.alloc(1e6, 1).equals(object.bytes);
      const { consumerViews } = store.stats();
      store.close();
      print({ right, consumerViews });`,
    );
    expect(said).toEqual({ right: true, consumerViews: views });
  });
});
