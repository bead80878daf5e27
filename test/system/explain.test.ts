/** explain() of processes that only a whole system has: of other users, and of the kernel. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { explain } from '../../src/drift/explain.ts';

test("another user's process is denied, with what to do", () => {
  const index = new URL('../../dist/index.js', import.meta.url).href;
  const program = `
    const { explain } = await import(${JSON.stringify(index)});
    try {
      await explain(${process.pid});
    } catch (error) {
      console.log(error.code + ' ' + error.message);
    }`;
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const said = execFileSync('setpriv', [...user, process.execPath, '-e', program], {
    cwd: fileURLToPath(new URL('/', import.meta.url)),
    encoding: 'utf8',
  });
  expect(said).toMatch(/^ERR_DENIED /);
  expect(said).toContain('CAP_SYS_PTRACE');
});

test('refuses a kernel thread, which has no memory of its own', async () => {
  const thread = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    const status = readFileSync(`/proc/${name}/status`, 'latin1');
    return !/^VmRSS/m.test(status) && !/^State:\tZ/m.test(status);
  });
  expect(thread).toBeDefined();
  await expect(explain(Number(thread))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringContaining('kernel thread'),
  });
});
