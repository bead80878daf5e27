/** Captures for other tools, read by those tools where there is one that can be asked. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { afterAll, describe, expect, test } from 'vitest';
import { stackAt, tableRows } from '../../src/analysis/report_rows.ts';
import type { CaptureReport } from '../../src/capture/capture_model.ts';
import { collapsedOf, csvOf, pprofOf, speedscopeOf } from '../../src/report/exports.ts';
import { nameOf, placeOf } from '../../src/report/frame_text.ts';
import { frameOf, randomReport } from '../made_reports.ts';
import { knownReport } from '../page/known_page.ts';

/** What separates something in one of the formats, and what pprof takes for C++. */
const oddNames = [
  'a,b',
  'say "hello"',
  'two\nlines',
  'a;b|c',
  '(anonymous)',
  'node::Start(int, char**)',
  'std::vector<int, std::allocator<int>>::push_back(int const&)',
  'ünïcode \u2028',
  '',
];

/** Of the known page, of random trees, and of functions with odd names. */
const reports: readonly (readonly [string, CaptureReport])[] = [
  ['known', knownReport()],
  ['random', randomReport({ seed: 8, nodes: 200, rows: 400 })],
  [
    'odd names',
    randomReport({ seed: 9, nodes: 50, rows: 90, frames: oddNames.map((name) => frameOf(name)) }),
  ],
];

const folder = mkdtempSync(join(tmpdir(), 'memdrift-exports-'));
afterAll(() => rmSync(folder, { recursive: true }));

function sum(values: Iterable<number>): number {
  let all = 0;
  for (const value of values) all += value;
  return all;
}

/** By what each row's innermost function is called, or its kind where it has none. */
function flatOf(report: CaptureReport, values: Float64Array): Record<string, number> {
  const flat: Record<string, number> = {};
  report.rows.node.forEach((node, row) => {
    const [inner] = stackAt(report, node);
    const name = inner ? nameOf(inner) : `[${report.kinds[report.rows.kind[row]!]}]`;
    flat[name] = (flat[name] ?? 0) + values[row]!;
  });
  return Object.fromEntries(Object.entries(flat).filter(([, bytes]) => bytes !== 0));
}

const pprof =
  process.env.MEMDRIFT_TEST_PPROF ??
  fileURLToPath(new URL('../../.cache/bin/pprof', import.meta.url));

function topOf(report: CaptureReport, index: string): { total: number; flat: object } {
  const file = join(folder, 'profile.pb');
  writeFileSync(file, pprofOf(report));
  const flags = ['-top', `-sample_index=${index}`, '-unit=B', '-nodecount=1000000'];
  const text = execFileSync(pprof, [...flags, '-nodefraction=0', file], {
    encoding: 'utf8',
    // It keeps its settings at home.
    env: { ...process.env, HOME: folder, PPROF_TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const total = Number(/of (\d+)(?:B|) total/.exec(text)?.[1]);
  const lines = text.split(/flat% +sum% .*\n/)[1] ?? '';
  const flat: Record<string, number> = {};
  // A name can have lines of its own.
  for (const line of lines.trimEnd().split(/\n(?= *\d+B? +\S+% )/)) {
    const [, bytes, name = ''] = /^ *(\d+)B?(?: +\S+){4} {2}(.*)$/s.exec(line) ?? [];
    if (bytes !== '0') flat[name] = Number(bytes);
  }
  return { total, flat };
}

if (existsSync(pprof) || process.env.CI) {
  describe('pprof', () => {
    test.each(reports)('%s: has every function with the bytes that it held', (_, report) => {
      const held = report.rows.bytes;
      const expected = { total: sum(held), flat: flatOf(report, held) };
      expect(topOf(report, 'inuse_space')).toEqual(expected);
    });

    test.each(reports)('%s: has what was ever allocated', (_, report) => {
      const ever = report.rows.everBytes;
      const expected = { total: sum(ever), flat: flatOf(report, ever) };
      expect(topOf(report, 'alloc_space')).toEqual(expected);
    });

    test('counts objects, and can be asked for a kind', () => {
      const report = knownReport();
      expect(topOf(report, 'inuse_objects').total).toBe(10);
      const file = join(folder, 'tags.pb');
      writeFileSync(file, pprofOf(report));
      const flags = ['-top', '-unit=B', '-tagfocus=kind=^buffer$', file];
      const text = execFileSync(pprof, flags, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      expect(text).toMatch(/^ +200B .* read$/m);
      expect(text).not.toContain('alloc');
    });
  });
} else {
  process.stderr.write(`not run: ${pprof} is not there; MEMDRIFT_TEST_PPROF names another\n`);
}

describe('speedscope', () => {
  const schema = new URL(
    '../../node_modules/speedscope/dist/release/file-format-schema.json',
    import.meta.url,
  );
  const ajv = new Ajv({ strict: false });
  const isValid = ajv.compile(JSON.parse(readFileSync(schema, 'utf8')));

  test.each(reports)('%s: is what its schema asks for', (name, report) => {
    const profile = JSON.parse(JSON.stringify(speedscopeOf(report, name)));
    expect(isValid(profile), ajv.errorsText(isValid.errors)).toBe(true);
    expect(isValid({ ...profile, shared: {} })).toBe(false);
    const [{ weights, samples, endValue }] = profile.profiles;
    expect(sum(weights)).toBe(sum(report.rows.bytes));
    expect(endValue).toBe(sum(weights));
    const flat: Record<string, number> = {};
    samples.forEach((stack: number[], i: number) => {
      const inner = profile.shared.frames[stack.at(-1)!].name;
      flat[inner] = (flat[inner] ?? 0) + weights[i];
    });
    expect(flat).toEqual(flatOf(report, report.rows.bytes));
  });
});

describe('collapsed', () => {
  test.each(reports)('%s: has a line per stack, with its bytes', (_, report) => {
    const text = [...collapsedOf(report)].join('');
    const lines = text.trimEnd().split('\n');
    const rows = tableRows(report).filter(({ bytes }) => bytes > 0);
    expect(lines).toHaveLength(rows.length);
    expect(sum(lines.map((line) => Number(/ (\d+)$/.exec(line)?.[1])))).toBe(
      sum(report.rows.bytes),
    );
    lines.forEach((line, i) => {
      const { kind, stack } = rows[i]!;
      expect(line.split(';')).toHaveLength(1 + stack.length);
      expect(line.startsWith(`[${kind}]`)).toBe(true);
    });
  });
});

/** RFC 4180: fields in quotes may have commas, line ends and doubled quotes. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    record.push(quoted === undefined ? (bare ?? '') : quoted.replaceAll('""', '"'));
    if (end !== '\r\n') continue;
    records.push(record);
    record = [];
  }
  return records;
}

describe('CSV', () => {
  test.each(reports)('%s: has every row, whatever its names are', (_, report) => {
    const [header, ...records] = readCsv([...csvOf(report)].join(''));
    expect(header?.join()).toBe('bytes,count,kind,thread,function,place,stack');
    const expected = tableRows(report)
      .filter(({ bytes }) => bytes > 0)
      .map(({ bytes, count, kind, thread, stack }) => [
        String(bytes),
        count === null ? '' : String(count),
        kind,
        thread,
        stack[0] ? nameOf(stack[0]) : '',
        stack[0] ? placeOf(stack[0]) : '',
      ]);
    expect(records.map((record) => record.slice(0, 6))).toEqual(expected);
    expect(records.every((record) => record.length === 7)).toBe(true);
    expect(sum(records.map(([bytes]) => Number(bytes)))).toBe(sum(report.rows.bytes));
  });
});
