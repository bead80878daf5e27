/**
 * A program on each of these packages has the same output and end when it is tracked, attached to
 * or explained, beside two busy loops; and no record of it is lost.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bed, busyLoops, type Ended, packagesFolder, type Recorded } from './harness.ts';

const { MEMDRIFT_REAL_NODES } = process.env;
const packages = packagesFolder();

const libraries = ['libLLVM-15.so.1', 'librsvg-2.so.2', 'libgtk-3.so.0', 'libz3.so.4'];
const programs: readonly (readonly [string, readonly string[]])[] = [
  ['DuckDB', ['duckdb']],
  ['sharp', ['sharp']],
  ['better-sqlite3', ['sqlite']],
  ['@napi-rs/canvas', ['canvas']],
  ['lmdb', ['lmdb']],
  ['classic-level', ['level']],
  ['a Vite build', ['vite']],
  ['a vitest run', ['vitest']],
  ...libraries.map((name) => [name.replace(/[-.].*/, ''), ['libraries', name]] as const),
  ['libraries in two threads', ['libraries', libraries.slice(1).join(','), '5']],
];
/** On the releases between the oldest and the newest: those whose loading is the hardest. */
const shorter: readonly string[] = ['DuckDB', 'sharp', 'libLLVM', 'libgtk'];

const nodes = (MEMDRIFT_REAL_NODES ?? process.execPath).split(':').map((node) => {
  const version = execFileSync(node, ['-p', 'process.version'], { encoding: 'utf8' }).trim();
  return { node, version, major: Number(version.slice(1).split('.')[0]) };
});

describe.each(nodes)('on Node $version', ({ node, major }) => {
  const sqlite = join(packages, `sqlite-${major}/build/Release/better_sqlite3.node`);
  const bed = new Bed(node, packages, { MEMDRIFT_REAL_SQLITE: sqlite });
  let endLoops = (): void => {};
  beforeAll(() => {
    endLoops = busyLoops(2);
  });
  afterAll(() => {
    endLoops();
    bed.remove();
  });

  const isShort = major === 22 || major === 24;
  const chosen = programs.filter(([name]) => !isShort || shorter.includes(name));
  describe.each(chosen)('%s is as untracked', (_, program) => {
    let plain: Ended;
    beforeAll(async () => {
      plain = await bed.plain(program);
      // One test of the vitest run fails on purpose.
      const code = program[0] === 'vitest' ? 1 : 0;
      const stdout = expect.stringMatching(`^${program[0]} .`);
      expect(plain, 'untracked').toMatchObject({ code, signal: null, stdout });
    });

    test.each([
      ['run', []],
      ['run --sample-bytes 65536', ['--sample-bytes', '65536']],
    ])('under memdrift %s', async (_, options) => {
      const { end, recorded } = await bed.run(program, options);
      const said = /^memdrift: (captures in|peak RSS, at least,) .*\n/gm;
      expect({ ...end, stderr: end.stderr.replace(said, '') }).toEqual(plain);
      expectWhole(recorded);
    });

    test('while attached to', async () => {
      const { attached, end, recorded } = await bed.attach(program);
      expect(attached).toMatchObject({ code: 0, signal: null });
      expect({ ...end, stderr: withoutInspector(end.stderr) }).toEqual(plain);
      expectWhole(recorded);
    });

    test('while explained', async () => {
      const { explained, end } = await bed.explain(program);
      expect({ ...end, stderr: withoutInspector(end.stderr) }).toEqual(plain);
      expect(explained).toMatchObject({ code: 0, signal: null });
      expect(JSON.parse(explained.stdout)).toMatchObject({ source: 'inspector' });
    });
  });
});

/** The program's capture is whole; that of a child which the program killed ends at that moment. */
function expectWhole(recorded: readonly Recorded[]): void {
  expect(recorded.map(({ file }) => file)).toContain('main.mdc');
  for (const { file, allocations, damage, ending, ...rest } of recorded) {
    expect({ file, ...rest }).toEqual({ file, droppedRecords: 0 });
    expect(allocations).toBeGreaterThan(0);
    expect({ file, damage }).toEqual({ file, damage: null });
    if (file === 'main.mdc') expect(ending).toBe('closed');
  }
}

/** Node reports its inspector on stderr, whichever process opened it. */
function withoutInspector(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => !isOfInspector(line));
  return lines.join('\n');
}

function isOfInspector(line: string): boolean {
  return /^(Debugger (listening on|attached|ending on)|For help, see: https:\/\/nodejs\.org)/.test(
    line,
  );
}
