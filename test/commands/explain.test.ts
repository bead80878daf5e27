/** `memdrift explain`: what it prints, what it saves, and how it fails. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { registerExplain } from '../../src/commands/explain.ts';
import type { Explanation } from '../../src/drift/explain_model.ts';
import { Children, idleScript } from '../children.ts';
import { explanationOf } from '../drift/made_explanation.ts';

const children = new Children();
const folder = mkdtempSync(join(tmpdir(), 'memdrift-explain-'));
let written = '';
let complained = '';

beforeEach(() => {
  written = complained = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    complained += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await children.endAll();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<string> {
  const program = new Command('memdrift').exitOverride();
  registerExplain(program);
  await program.parseAsync(['explain', ...args], { from: 'user' });
  return written;
}

let files = 0;
function saved(explanation: unknown): string {
  const path = join(folder, `saved-${++files}.json`);
  writeFileSync(path, typeof explanation === 'string' ? explanation : JSON.stringify(explanation));
  return path;
}

describe('of a process', () => {
  test('--json has the stable names, and -o writes the same for its user only', async () => {
    const { pid } = await children.node(idleScript);
    const path = join(folder, 'new.json');
    const printed = await run(String(pid), '--outside', '--json', '-o', path);
    const explanation = JSON.parse(printed) as Explanation;
    expect(Object.keys(explanation)).toEqual(
      expect.arrayContaining([
        ...['schemaVersion', 'options', 'rssBytes', 'vmRssBytes', 'causes', 'unexplainedBytes'],
      ]),
    );
    expect(Object.keys(explanation.causes[0] ?? {})).toEqual([
      ...['cause', 'bytes', 'exactness', 'detail'],
    ]);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(explanation);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(complained).toBe('');
  });

  test('what exists is not written over', async () => {
    const path = saved('precious');
    await expect(run(String(process.pid), '--outside', '-o', path)).rejects.toMatchObject({
      code: 'ERR_EXISTS',
    });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  test('that cannot be entered is estimated, and stderr says why', async () => {
    const { pid } = await children.run('sh', ['-c', 'echo ready; read line']);
    const text = await run(String(pid));
    expect(complained).toMatch(/^memdrift: estimated from outside: .*SIGUSR1/);
    expect(text).toMatch(/^sum +[0-9.]+ +100\.0 +kernel/m);
  });

  test.each([['12x'], ['0'], ['-1'], ['1.5']])('"%s" is not a process id', async (bad) => {
    await expect(run('--', bad)).rejects.toMatchObject({ code: 'ERR_INVALID' });
  });
});

describe('--since', () => {
  const before = saved(explanationOf({ 'malloc-in-use': 10e6 }));

  test('compares two files, as text or as JSON', async () => {
    const after = saved(explanationOf({ 'malloc-in-use': 30e6 }));
    expect(await run('--since', before, after)).toMatch(
      /^malloc-in-use +\+20\.00 +10\.00 +30\.00$/m,
    );
    written = '';
    const growth = JSON.parse(await run('--since', before, after, '--json'));
    expect(growth).toMatchObject({ schemaVersion: 1, bytes: 20e6 });
  });

  test('compares a file with a process now', async () => {
    const text = await run(String(process.pid), '--outside', '--since', before);
    expect(text).toContain(`from process 4711 to process ${process.pid}`);
  });

  test.each([
    ['no JSON', 'ERR_MALFORMED'],
    ['null', 'ERR_MALFORMED'],
    ['{"schemaVersion":1}', 'ERR_MALFORMED'],
    [JSON.stringify({ ...explanationOf({}), schemaVersion: 2 }), 'ERR_MALFORMED'],
  ])('a file that says %s is none of ours', async (text, code) => {
    await expect(run('--since', saved(text), before)).rejects.toMatchObject({ code });
  });

  test('a file that is not there', async () => {
    await expect(run('--since', join(folder, 'none'), before)).rejects.toMatchObject({
      code: 'ERR_SYSTEM',
    });
  });
});
