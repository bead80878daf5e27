/** Checks processes that a tracked program starts and that do not run Node against /proc. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readCaptureStats } from '../../src/capture/capture.ts';
import { statsText } from '../../src/report/stats_text.ts';
import { fixture, GroundTruth } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

describe('a program that starts esbuild and Python', async () => {
  const run = await truth.run(fixture('other_programs.cjs'));
  const service = JSON.parse(run.stdout) as { pid: number; peakRssBytes: number };
  const stats = await readCaptureStats(run.captures[0] as string);
  const byName = (name: string) =>
    stats.children.find((child) => child.name.startsWith(name)) ?? expect.fail(name);

  test('lists a service that lives until the end, with its peak', () => {
    const child = byName('esbuild');
    expect(child).toMatchObject({ pid: service.pid, isNode: false });
    // Read a moment later than the program read it: a peak only rises.
    expect(child.peakRssBytes).toBeGreaterThanOrEqual(service.peakRssBytes);
    expect(child.peakRssBytes).toBeLessThan(1.25 * service.peakRssBytes);
    expect(child.argv.join(' ')).toContain('--service=');
  });

  test('lists an ended program with a lower bound of its peak', () => {
    const child = byName('python');
    expect(child.peakRssBytes).toBeGreaterThan(64 << 20);
    expect(child.argv).toContain('--token');
    expect(JSON.stringify(stats.children)).not.toContain('sesame');
  });

  test('returns the kernel’s highest peak of ended children', () => {
    expect(stats.endedChildPeakRssBytes).toBeGreaterThan(64 << 20);
  });

  test('prints such processes in stats and at the end of the run', () => {
    expect(statsText(stats)).toMatch(/not run Node\n(.*\n)* +\d+\.\d\d MB {2}.*esbuild --service/);
    expect(run.stderr).toMatch(/\(lower bounds\) of processes that do not run Node: .*python.* MB/);
  });
});

test('keeps the line at the end out of a file that the program opened as stderr', async () => {
  const own = join(truth.folder, 'own.txt');
  const run = await truth.run(fixture('other_stderr.cjs'), { env: { OWN_FILE: own } });
  expect([run.code, run.stdout]).toEqual([0, 'done\n']);
  expect(readFileSync(own, 'utf8')).toBe('own');
});

test('records no arguments with --no-command-line', async () => {
  const run = await truth.run(fixture('other_programs.cjs'), { flags: ['--no-command-line'] });
  const { children } = await readCaptureStats(run.captures[0] as string);
  expect(children.length).toBeGreaterThan(0);
  expect(children.every(({ argv }) => argv.length === 0)).toBe(true);
});
