/** Checks `memdrift watch` on programs whose memory neither looks nor counters show. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { Verdict, ViewName, WatchReport } from '../../src/watch/watch_model.ts';

const cli = join(import.meta.dirname, '../../dist/cli.js');
const fixture = (name: string): string => join(import.meta.dirname, '../fixtures/watch', name);
const folder = mkdtempSync(join(tmpdir(), 'memdrift-test-bounds-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function watch(...args: string[]): Promise<{ report: WatchReport; stdout: string }> {
  const json = join(folder, 'report.json');
  const all = [cli, 'watch', '--json', json, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, all);
  return { report: JSON.parse(readFileSync(json, 'utf8')), stdout };
}

function verdictOf({ verdicts }: WatchReport, view: ViewName): Verdict['kills'] | undefined {
  return verdicts.find((one) => one.view === view)?.kills;
}

test('includes a peak between two looks in the sum of RSS of one process', async () => {
  const program = join(folder, 'spike');
  execFileSync('cc', ['-O1', '-o', program, fixture('spike.c')]);
  const { report, stdout } = await watch('--interval', '1000', '--limit', '600M', '--', program);
  const markBytes = 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(stdout)?.[1]);
  const [low, high] = report.views.sumRss.rangeBytes as [number, number];
  expect(markBytes).toBeGreaterThan(700 * 2 ** 20);
  expect(high).toBeGreaterThanOrEqual(markBytes);
  // Marks are of single processes, and of the time since the watch began.
  expect(low).toBeGreaterThan(600 * 2 ** 20);
  expect(verdictOf(report, 'sumRss')).toBe('yes');
}, 30_000);

test('bounds copied pages in PSS and footprint after copy-on-write', async () => {
  const loader = fixture('cow_loader.py');
  const { report } = await watch('--limit', '900M', '--', 'python3', loader, '4');
  // The processes themselves: all of their memory is their own in the end.
  const anonBytes = report.processes
    .filter(({ inGroup }) => inGroup)
    .map(({ peak }) => peak.rssAnonBytes ?? 0)
    .filter((bytes) => bytes > 100e6);
  expect(anonBytes).toHaveLength(5);
  const copiedBytes = 0.9 * anonBytes.reduce((sum, bytes) => sum + bytes, 0);
  for (const view of ['sumPss', 'footprint', 'slurmUsePss'] as const) {
    const [low, high] = report.views[view].rangeBytes as [number, number];
    expect(low, view).toBeLessThanOrEqual(high);
    expect(high, view).toBeGreaterThan(copiedBytes);
    expect(verdictOf(report, view), view).not.toBe('no');
  }
}, 60_000);
