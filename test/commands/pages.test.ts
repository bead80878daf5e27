/** `memdrift flamegraph`, `report` and `transform` as a user calls them. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCaptureTable } from '../../src/capture/capture.ts';
import type { IndexData, PageData } from '../../src/report/page_model.ts';
import type { WatchData } from '../../src/report/watch_page_model.ts';
import { fixture, GroundTruth } from '../ground_truth.ts';
import { knownLines, knownSummary, textOf } from '../report/made_log.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

let capture = '';
beforeAll(async () => {
  const run = await truth.run(fixture('ends.cjs'), { args: ['exit'] });
  [capture = ''] = run.captures;
});

function memdrift(...args: string[]) {
  return spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', cwd: truth.folder });
}

function dataIn<Data>(page: string): Data {
  const text = readFileSync(page, 'utf8');
  const [, json] = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(text) ?? [];
  return JSON.parse(json ?? '') as Data;
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);

test('flamegraph writes a page beside the capture, and replaces none unasked', async () => {
  const page = capture.replace(/mdc$/, 'html');
  expect(memdrift('flamegraph', capture)).toMatchObject({ status: 0, stdout: `${page}\n` });
  const data = dataIn<PageData>(page);
  const { rows } = await readCaptureTable(capture);
  expect(sum(data.rows.bytes)).toBe(sum(rows.map(({ bytes }) => bytes)));
  expect([data.moment, data.moments, data.threads]).toEqual(['peak', [], ['']]);
  expect(memdrift('flamegraph', capture).stderr).toContain('exists; replace it with --force');
  const flags = ['--force', '--leaks', '--temporal', '--split-threads', '--inverted'];
  expect(memdrift('flamegraph', capture, ...flags).status).toBe(0);
  const more = dataIn<PageData>(page);
  expect([more.moment, more.isInverted]).toEqual(['end', true]);
  expect(more.moments.filter(({ isPeak }) => isPeak)).toHaveLength(1);
  expect(more.threads).toContainEqual(
    expect.stringMatching(/^\d+ (node|MainThread|node-MainThread)$/),
  );
  const grown = more.rows.bytes.map(() => 0);
  for (let i = 0; i < more.changes.length; i += 4) {
    grown[more.changes[i + 1]!]! += more.changes[i + 2]!;
  }
  const isOfHeap = more.rows.kind.map((kind) => ['malloc', 'mmap'].includes(more.kinds[kind]!));
  // All that ever changed is what is there at the end.
  expect(grown.filter((_, row) => isOfHeap[row])).toEqual(
    more.rows.bytes.filter((_, row) => isOfHeap[row]),
  );
});

test('report writes a page for each capture, and an index that links them', () => {
  const folder = join(truth.folder, 'run');
  mkdirSync(folder);
  for (const name of ['main-1-1.mdc', 'a b#c-2-2.mdc']) copyFileSync(capture, join(folder, name));
  writeFileSync(
    join(folder, 'group.jsonl'),
    '{"timeMs":1700000000000,"processes":4,"sumRssBytes":2,"footprintBytes":1}\n{"timeMs":',
  );
  const to = join(truth.folder, 'pages');
  expect(memdrift('report', folder, '-o', to).stdout).toBe(`${join(to, 'index.html')}\n`);
  const { processes, group, title } = dataIn<IndexData>(join(to, 'index.html'));
  expect(title).toBe('run');
  const linked = processes.map(({ href }) => decodeURIComponent(href));
  expect([...linked, 'index.html'].sort()).toEqual(readdirSync(to).sort());
  expect(group).toMatchObject({ processes: 4, footprintBytes: [1], sumRssBytes: [2] });
  expect(memdrift('report', folder, '-o', to).status).toBe(1);
  const none = memdrift('report', to);
  expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('has no captures')]);
});

test('beside captures a log of a watch has a page that the index links', () => {
  const folder = join(truth.folder, 'watched');
  mkdirSync(folder);
  copyFileSync(capture, join(folder, 'main-1-1.mdc'));
  writeFileSync(join(folder, 'watch-n1-1.jsonl'), textOf([...knownLines, knownSummary]));
  const { status, stdout } = memdrift('report', folder);
  const pages = ['watch.html', 'index.html'].map((name) => join(folder, name));
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${pages.join('\n')}\n` });
  expect(dataIn<IndexData>(pages[1] as string).logs).toBe('watch.html');
  expect(dataIn<WatchData>(pages[0] as string).nodes).toHaveLength(1);
  // Nothing is made beside an index that stays.
  rmSync(pages[0] as string);
  expect(memdrift('report', folder).status).toBe(1);
  expect(readdirSync(folder)).not.toContain('watch.html');
});

test('the index has processes in the order in which they began', async () => {
  const script = join(truth.folder, 'parent.cjs');
  writeFileSync(
    script,
    "if (process.argv[2] === undefined) require('node:child_process').fork(__filename, ['child']);",
  );
  const folder = join(truth.folder, 'family');
  mkdirSync(folder);
  memdrift('run', '-o', join(folder, 'main.mdc'), script);
  memdrift('report', folder);
  const { processes } = dataIn<IndexData>(join(folder, 'index.html'));
  expect(processes.map(({ name }) => name)).toEqual(['main', 'child']);
});

test.each([
  ['flamegraph', [], 'cannot write .*: ENOENT: no such file or directory'],
  ['transform', ['csv'], 'cannot write .*: ENOENT: no such file or directory'],
])('%s into a folder that is not there says so in one line', (command, format, message) => {
  const to = join(truth.folder, 'no', 'such');
  const { status, stderr } = memdrift(command, ...format, capture, '-o', to);
  expect([status, stderr]).toEqual([1, expect.stringMatching(`^memdrift: ${message}.*\n$`)]);
});

test('report of a capture says in one line who makes its page', () => {
  const { status, stderr } = memdrift('report', capture);
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^memdrift: .* flamegraph .*\n$/)]);
});

test('transform to stdout has what the file has', async () => {
  const { rows } = await readCaptureTable(capture);
  const { stdout } = memdrift('transform', 'collapsed', capture, '-o', '-');
  const bytes = stdout
    .trimEnd()
    .split('\n')
    .map((line) => Number(/ (\d+)$/.exec(line)?.[1]));
  expect(sum(bytes)).toBe(sum(rows.map((row) => row.bytes)));
  const { stdout: to } = memdrift('transform', 'collapsed', capture);
  expect(basename(to.trim())).toBe(basename(capture).replace(/mdc$/, 'txt'));
  expect(readFileSync(to.trim(), 'utf8')).toBe(stdout);
});

test('what cannot be read or written is told in one line, and leaves nothing', () => {
  const folder = join(truth.folder, 'odd');
  mkdirSync(join(folder, 'group.jsonl'), { recursive: true });
  copyFileSync(capture, join(folder, 'one.mdc'));
  const taken = join(truth.folder, 'taken');
  writeFileSync(taken, '');
  for (const args of [
    ['flamegraph', capture, '-o', join(truth.folder, 'none', 'page.html')],
    ['flamegraph', capture, '--force', '-o', folder],
    ['flamegraph', capture, '--force', '-o', '/dev/full'],
    ['transform', 'csv', capture, '-o', join(taken, 'a.csv')],
    ['transform', 'pprof', capture, '--force', '-o', '/dev/full'],
    ['report', capture],
    ['report', folder, '-o', taken],
  ]) {
    const { status, stderr } = memdrift(...args);
    expect([args, status, stderr]).toEqual([args, 1, expect.stringMatching(/^memdrift: .+\n$/)]);
  }
  expect(readdirSync(folder).sort()).toEqual(['group.jsonl', 'one.mdc']);
  // What was measured of the group is a file, or there is none.
  expect(memdrift('report', folder)).toMatchObject({ status: 0, stderr: '' });
});

test('a capture that cannot be read is told, and the others of its folder have pages', () => {
  const folder = join(truth.folder, 'some');
  mkdirSync(folder);
  copyFileSync(capture, join(folder, 'whole.mdc'));
  writeFileSync(join(folder, 'begun.mdc'), '');
  const { status, stdout, stderr } = memdrift('report', folder);
  expect([status, stdout]).toEqual([1, `${join(folder, 'index.html')}\n`]);
  expect(stderr).toMatch(/^memdrift: .*begun\.mdc is not a capture: it is too short\n$/);
  const { processes } = dataIn<IndexData>(join(folder, 'index.html'));
  expect(processes.map(({ href }) => href)).toEqual(['whole.html']);
});

test('a capture that is called index has a page beside the index', () => {
  const folder = join(truth.folder, 'named');
  mkdirSync(folder);
  copyFileSync(capture, join(folder, 'index.mdc'));
  expect(memdrift('report', folder).status).toBe(0);
  const [process] = dataIn<IndexData>(join(folder, 'index.html')).processes;
  expect(dataIn<PageData>(join(folder, process?.href ?? '')).title).toBe('index');
});
