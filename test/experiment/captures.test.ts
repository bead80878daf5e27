/** What a run of the experiment records of main, the server and the first client. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { readCaptureStats, readCaptureTable } from '../../src/capture/capture.ts';
import type { ExperimentReport } from '../../src/experiment/report_model.ts';
import { groupOf } from '../../src/report/run_index.ts';
import { smallRun } from './launch.ts';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const cwd = mkdtempSync(join(tmpdir(), 'memdrift-captures-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

function run(...flags: string[]): ExperimentReport {
  const { status } = spawnSync(
    process.execPath,
    [main, ...smallRun, ...flags, '--json', 'a.json'],
    {
      cwd,
    },
  );
  expect(status).toBe(0);
  return JSON.parse(readFileSync(join(cwd, 'a.json'), 'utf8')) as ExperimentReport;
}

const capturesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.mdc'))
    .sort();

test('main, server and client 0 have a whole capture each, in a new folder', async () => {
  const { files, processes } = run();
  expect(files.captureDir).toMatch(new RegExp(`^${cwd}/captures/\\d{8}T\\d{6}-\\d+$`));
  const names = capturesIn(files.captureDir ?? '');
  const roles = names.map((name) => name.replace(/-\d+-\d+\.mdc$/, ''));
  expect(roles).toEqual(['client-0', 'main', 'server']);
  const expected = { 'client-0': 'client', main: 'main', server: 'server' } as const;
  for (const name of names) {
    const stats = await readCaptureStats(join(files.captureDir ?? '', name));
    expect(stats).toMatchObject({ damage: null, droppedRecords: 0 });
    expect(stats.events).toBeGreaterThan(1000);
    const role = expected[stats.role as keyof typeof expected];
    expect(processes.find(({ pid }) => pid === stats.pid)?.role).toBe(role);
  }
});

test('what the server allocates is under its own functions', async () => {
  const folder = join(cwd, 'given');
  run('--capture-dir', folder);
  const server = readdirSync(folder).find((name) => name.startsWith('server')) ?? '';
  const { rows } = await readCaptureTable(join(folder, server));
  const frames = rows.flatMap(({ stack }) => stack);
  const ours = frames.filter(({ file }) => file.endsWith('/src/experiment/child.ts'));
  expect(ours.map((frame) => frame.function)).toContain('live');
});

test.each([[], ['--trim']])(
  'the growth of RSS adds up, with nearly no rest %s',
  async (...flags) => {
    const folder = mkdtempSync(join(cwd, 'sum-'));
    run(
      '--capture-dir',
      folder,
      '--rounds',
      '5',
      '--work-ms',
      '300',
      '--array-size',
      '20000001',
      '--obj-store-mem',
      '400000000',
      ...flags,
    );
    for (const name of capturesIn(folder)) {
      const { rssGrowth } = await readCaptureStats(join(folder, name));
      const { fromBytes = 0, toBytes = 0, parts = [], restBytes = 0 } = rssGrowth ?? {};
      const grown = toBytes - fromBytes;
      expect(parts.reduce((sum, part) => sum + part.bytes, restBytes)).toBe(grown);
      expect(Math.abs(restBytes), name).toBeLessThanOrEqual(Math.max(0.05 * grown, 8e6));
      expect(parts).not.toEqual([]);
    }
  },
);

test("the group's footprint and sum of RSS stand beside the captures, by the clock", () => {
  const begin = Date.now();
  const { files, processes } = run();
  const text = readFileSync(join(files.captureDir ?? '', 'group.jsonl'), 'utf8');
  const group = groupOf(text);
  expect(group?.processes).toBe(processes.length);
  const times = group?.timeMs ?? [];
  expect(times[0]).toBeGreaterThanOrEqual(begin);
  expect(times.at(-1)).toBeLessThanOrEqual(Date.now());
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  // Ten processes share what Node is: one of them has it.
  const most = Math.max(...(group?.sumRssBytes ?? []).map(Number));
  expect(Math.max(...(group?.footprintBytes ?? []).map(Number))).toBeLessThan(most);
});

test('--no-captures records nothing', () => {
  expect(run('--no-captures').files.captureDir).toBeNull();
});
