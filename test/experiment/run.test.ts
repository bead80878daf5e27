import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { launch, segmentsOfRun, smallRun } from './launch.ts';

describe('a run of the experiment', () => {
  it('checks every array of every round in both directions, and leaves nothing', async () => {
    const { child, ended } = launch(smallRun);
    const { code, report, stderr } = await ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(report?.completed).toBe(true);
    expect(report?.error).toBeNull();
    expect(report?.arraysChecked).toBe(2 * 3 * 3);
    expect(report?.processes.map((process) => process.label)).toEqual([
      'Main',
      'Server',
      'Client 0',
      'Client 1',
      'Client 2',
    ]);
    expect(segmentsOfRun(child.pid ?? 0)).toEqual([]);
  });

  it.each([
    ['lowest', '--placement=lowest'],
    ['lowest, trim', '--placement=lowest', '--trim'],
    ['rotate', '--placement=rotate'],
    ['rotate, trim', '--placement=rotate', '--trim'],
  ])('completes with placement %s', async (_name, ...flags) => {
    const { report } = await launch([...smallRun, ...flags]).ended;
    expect(report?.error).toBeNull();
    expect(report?.completed).toBe(true);
  });

  it('gives numbers that hold together', async () => {
    const { report } = await launch([...smallRun, '--rounds=6', '--work-ms=300']).ended;
    if (!report) throw new Error('no report');
    for (const process of report.processes) {
      const { rssBytes, pssBytes, ussBytes, sharedBytes, rssAnonBytes } = process.peak;
      for (const bytes of [rssBytes, pssBytes, ussBytes, sharedBytes, rssAnonBytes]) {
        expect(bytes).toBeGreaterThan(0);
      }
      expect(pssBytes).toBeLessThanOrEqual(rssBytes ?? 0);
      expect(ussBytes).toBeLessThanOrEqual(pssBytes ?? 0);
      expect(process.peakDetail.pssBytes?.samples).toBeGreaterThanOrEqual(1);
    }
    expect(report.looks.map(({ moment, processes }) => ({ moment, processes }))).toEqual([
      { moment: 'first wave', processes: 5 },
      { moment: 'mid-run', processes: 5 },
      { moment: 'last release', processes: 5 },
    ]);
    const sum = report.processes.reduce((total, { peak }) => total + (peak.rssBytes ?? 0), 0);
    expect(report.totals.rssBytes).toBe(sum);
    // At most one array per client is alive at any moment.
    const page = 4096;
    const extent = Math.ceil(300_001 / page) * page;
    expect(report.store.liveBytesPeak).toBeLessThanOrEqual(3 * 300_001);
    expect(report.store.liveBytesPeak).toBeGreaterThan(0);
    expect(report.store.arenaBytesPeak).toBeLessThanOrEqual(3 * extent);
    expect(report.store.residentBytesPeak).toBeGreaterThanOrEqual(report.store.arenaBytesPeak);
    expect(report.footprint.peakBytes).toBeLessThan(report.totals.rssBytes ?? 0);
  });

  it('writes the series and the store log where it was told to', async () => {
    const { folder, ended, child } = launch([...smallRun, '--work-ms=400']);
    let series = '';
    let log = '';
    const reading = setInterval(() => {
      try {
        series = readFileSync(join(folder, 'tmp/memdrift/series.jsonl'), 'utf8');
        log = readFileSync(join(folder, 'tmp/memdrift/store.log'), 'utf8');
      } catch {
        // not there yet
      }
    }, 20);
    await ended;
    clearInterval(reading);
    const lines = series.trimEnd().split('\n');
    const samples = lines.slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(samples.length).toBeGreaterThan(5);
    expect(samples.at(-1)).toHaveProperty('store.residentBytes');
    const processes = samples.at(-1)?.processes as { pid: number }[];
    expect(processes.map(({ pid }) => pid)).toContain(child.pid);
    expect(log).toMatch(/object_store_memory/);
  });
});

describe('a run that cannot start', () => {
  it('says that the folder for its files cannot be made', async () => {
    const { code, stderr } = await launch([...smallRun, '--tmp-dir=/proc/nope']).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('/proc/nope');
  });
});
