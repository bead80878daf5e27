import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const index = new URL('../../dist/index.js', import.meta.url).href;

/** What each reader says about this process when another user runs it. */
async function asNobody(pid: number): Promise<Record<string, string>> {
  const program = `
    const m = await import(${JSON.stringify(index)});
    const said = {};
    for (const name of ['readMappings', 'readMaps', 'readRollup', 'readResidency', 'readCounters'])
      for (const read of [name, name + 'Async'])
        try {
          said[read] = typeof (await m[read](${pid}));
        } catch (error) {
          said[read] = error.code + ' ' + error.message;
        }
    console.log(JSON.stringify(said));`;
  const child = spawn(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', program],
    { stdio: ['ignore', 'pipe', 'inherit'], cwd: fileURLToPath(new URL('/', import.meta.url)) },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  return JSON.parse(text) as Record<string, string>;
}

describe("another user's process", () => {
  it('gives ERR_DENIED for its mappings, with what to do, and its counters still', async () => {
    const said = await asNobody(process.pid);
    for (const name of ['readMappings', 'readMaps', 'readRollup', 'readResidency']) {
      for (const read of [name, `${name}Async`]) {
        expect(said[read], read).toMatch(/^ERR_DENIED /);
        expect(said[read]).toContain(`/proc/${process.pid}/`);
        expect(said[read]).toContain('CAP_SYS_PTRACE');
      }
    }
    expect(said.readCounters).toBe('object');
    expect(said.readCountersAsync).toBe('object');
  });
});
