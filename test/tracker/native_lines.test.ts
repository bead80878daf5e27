/** Source lines of native code, where it has debug info and libdw is installed to read it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { GroundTruth, leaksOf } from '../ground_truth.ts';

const source = fileURLToPath(new URL('../native/ground_truth.c', import.meta.url));
const libraries = execFileSync('sh', ['-c', 'PATH=$PATH:/sbin ldconfig -p'], { encoding: 'utf8' });
const code = `
  const truth = require(process.env.GROUND_TRUTH);
  globalThis.kept = truth.malloc(1_000_777);`;

const truth = new GroundTruth(['-g']);
afterAll(() => truth.remove());

async function innermost() {
  const table = await leaksOf(await truth.run('', { flags: ['-e', code] }));
  return table.rows.find((row) => row.bytes === 1_000_777)?.stack[0];
}

test('an addon is told with its lines, or with its file where nothing reads them', async () => {
  const lines = readFileSync(source, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes('g_sink = malloc(')) + 1;
  const known = libraries.includes('libdw.so.1');
  const place = known ? { file: source, line } : { file: truth.addon, line: null };
  expect(await innermost()).toMatchObject({ function: 'callMalloc', native: true, ...place });
});

test('without debug info it is told with its file', async () => {
  execFileSync('strip', ['--strip-debug', truth.addon]);
  const stripped = { function: 'callMalloc', file: truth.addon, line: null, native: true };
  expect(await innermost()).toMatchObject(stripped);
});
