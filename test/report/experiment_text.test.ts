import { describe, expect, it } from 'vitest';
import { experimentText, progressText } from '../../src/report/experiment_text.ts';
import { megabytes } from '../../src/report/units.ts';
import { sampleProcess, sampleReport, silentProcess } from './sample_report.ts';

const plain = { color: false };
const text = experimentText(sampleReport(), plain);

/** The lines of the block that begins with `title`. */
function block(title: string, whole = text): readonly string[] {
  const found = whole.split('\n\n').find((one) => one.startsWith(title));
  if (found === undefined) throw new Error(`no block ${title} in:\n${whole}`);
  return found.split('\n');
}

describe('a process block', () => {
  const report = sampleReport();

  it.each(report.processes)('of $label has the numbers of the model', (process) => {
    const lines = block(`Process: ${process.label} peak usage (pid ${process.pid})`);
    const { peak, heapSeries } = process;
    const names = ['RSS', 'USS', 'PSS', 'SHR', 'anon'] as const;
    const peaks = [
      peak.rssBytes,
      peak.ussBytes,
      peak.pssBytes,
      peak.sharedBytes,
      peak.rssAnonBytes,
    ];
    names.forEach((name, i) => {
      expect(lines[i + 1]).toMatch(new RegExp(`^ +${name}: +${megabytes(peaks[i] ?? null)} MB  `));
    });
    (['heapUsed', 'heapTotal', 'external', 'arrayBuffers'] as const).forEach((name, i) => {
      const one = heapSeries?.[name];
      const numbers = [one?.firstBytes, one?.lastBytes, one?.peakBytes].map((bytes) =>
        megabytes(bytes ?? null),
      );
      expect(lines[i + 1]).toMatch(new RegExp(`${name} +${numbers.join(' +')} MB$`));
    });
    const drifts = [process.driftFirstBytes, process.driftBytes].map(megabytes);
    expect(lines[5]).toMatch(new RegExp(`drift +${drifts.join(' +')} MB$`));
  });

  it('says how exact each peak is and how often was looked', () => {
    const lines = block('Process: Server');
    expect(lines[1]).toContain("MB  the kernel's peak");
    expect(lines[2]).toContain('MB  sampled, 3 looks');
    expect(lines[4]).toContain('MB  sampled, 612 samples');
  });

  it('says which part of RSS grew most, and what is left of it at the end', () => {
    expect(block('Process: Main').slice(-2)).toEqual([
      '    RSS grew to its peak 46.00 -> 901.00 MB, most of it store pages 0.00 -> 840.00 MB',
      '    and first to last +805.00 MB: store pages +800.00, drift +3.99, heapTotal +1.01',
    ]);
  });

  it('of one that died says how, and does not make up what it could not say', () => {
    const died = sampleReport({ processes: [silentProcess('Client 7')] });
    const lines = block('Process: Client 7', experimentText(died, plain));
    expect(lines[1]).toBe('    died: killed by SIGKILL');
    expect(lines[3]).toMatch(/^ +USS: +unknown/);
    expect(lines.join('\n')).toContain("Node's own numbers: unknown");
    expect(lines.at(-1)).toContain('unknown');
    expect(lines.join('\n')).not.toMatch(/\b0\.00\b/);
  });
});

describe('the totals and the truth', () => {
  it('are the sums of peaks', () => {
    const lines = block('Sum of the peaks of all 4 processes');
    expect(lines.slice(1).map((line) => line.trim().replace(/ +/, ' '))).toEqual([
      'RSS: 4501.00 MB',
      'USS: 1102.03 MB',
      'PSS: 1203.04 MB',
      'SHR: 4301.05 MB',
    ]);
  });

  it("put the footprint, the counting and the store's three numbers side by side", () => {
    const lines = block('What is really used').map((line) => line.trim().replace(/ {2,}/g, ' | '));
    expect(lines.slice(1)).toEqual([
      'footprint at its peak | 1224.50 MB | at 12.35 s, estimated',
      'sum of RSS then | 3673.50 MB | on average each page was counted 3.00 times',
      'sum of RSS peaks | 4501.00 MB | 3.68 x the footprint',
      'store: live objects | 1000.00 MB | peak, of 10000.00 MB; all that a store shows',
      'store: arena in use | 1060.00 MB | peak, 1.06 x live',
      'store: resident pages | 1120.00 MB | peak, 1.12 x live; what the kernel has given',
      'cost of looking | 118.3 ms | of CPU, 0.55 % of a core: 215 samples, 3 full looks',
    ]);
  });

  it('are unknown where a part is unknown', () => {
    const unknown = sampleReport({
      totals: { rssBytes: 1e6, ussBytes: null, pssBytes: null, sharedBytes: 1e6 },
      footprint: {
        peakBytes: null,
        atMs: null,
        exactness: 'estimated',
        rangeBytes: null,
        sumRssBytesThen: null,
      },
    });
    const whole = experimentText(unknown, plain);
    expect(block('Sum of', whole)[2]).toMatch(/USS: +unknown$/);
    expect(block('What is really', whole)[1]).toMatch(/^ +footprint at its peak +unknown/);
    expect(block('What is really', whole)[2]).toContain('counted unknown times');
  });
});

describe('the whole', () => {
  it('fits in 100 columns, with large numbers too', () => {
    const large = sampleProcess({ role: 'client', label: 'Client 999', pid: 4_194_303 }, 98_000);
    const processes = [...sampleReport().processes, large, silentProcess('Client 7')];
    const whole = experimentText(sampleReport({ processes }), plain);
    expect(whole.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('begins with what happened when the run did not complete', () => {
    const error = { code: 'ERR_DIED', message: 'Client 1 (pid 14) was killed by SIGKILL' };
    const partial = sampleReport({ completed: false, error, roundsDone: 7 });
    const lines = experimentText(partial, plain).split('\n');
    expect(lines[0]).toBe('NOT COMPLETED: Client 1 (pid 14) was killed by SIGKILL (ERR_DIED)');
    expect(lines[3]).toContain('7 of 40 rounds done');
    expect(text).not.toContain('NOT COMPLETED');
    expect(text).toMatch(
      /^2 clients, 20 rounds each, arrays of 100.00 MB, placement rotate, trim\n/,
    );
  });

  it('says when the store is smaller than the default', () => {
    const { options } = sampleReport();
    const lowered = { ...options, storeBytes: 3e9, storeLoweredFromBytes: 10e9 };
    const lines = experimentText(sampleReport({ options: lowered }), plain).split('\n');
    expect(lines[1]).toMatch(/^store of 3000.00 MB: .* the default, 10000.00 MB$/);
    expect(text).not.toContain('store of');
  });

  it('is plain unless colour is asked for', () => {
    const escapeCode = String.fromCharCode(27);
    expect(text).not.toContain(escapeCode);
    expect(experimentText(sampleReport(), { color: true })).toContain(escapeCode);
  });

  it('names the files that were written, and only those', () => {
    expect(text.trimEnd().split('\n').slice(-3)).toEqual([
      'series:    /somewhere/tmp/series.jsonl',
      'store log: /somewhere/tmp/store.log',
      'JSON:      /somewhere/report.json',
    ]);
  });

  it('does not list hundreds of clients, but never leaves out one that died', () => {
    const clients = Array.from({ length: 100 }, (_, i) =>
      sampleProcess({ role: 'client', label: `Client ${i}`, pid: 100 + i }, i),
    );
    const processes = [
      ...sampleReport().processes.slice(0, 2),
      ...clients,
      silentProcess('Client x'),
    ];
    const whole = experimentText(sampleReport({ processes }), plain);
    expect(whole).toContain('Process: Client 19 ');
    expect(whole).not.toContain('Process: Client 20 ');
    expect(whole).toContain('Process: Client x ');
    expect(whole).toContain('… and 80 more clients');
  });
});

it('progress is one line', () => {
  const progress = { roundsDone: 57, roundsTotal: 200, arraysInFlight: 10, elapsedMs: 5700 };
  expect(progressText({ ...progress, footprintBytes: 1224.51e6 })).toBe(
    'rounds 57/200, 10 arrays in flight, footprint 1224.51 MB, 5.70 s',
  );
  expect(progressText({ ...progress, footprintBytes: null })).toContain('footprint unknown');
});
