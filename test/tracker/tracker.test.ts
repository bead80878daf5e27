/** The tracker in a program of its own: start, marks, stop, and what is left of it then. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { GroundTruth } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

let programs = 0;

/** Runs `body` as a module that has the package's names and `truth`; what it prints, as JSON. */
function inProgram(body: string): Record<string, unknown> {
  const index = new URL('../../dist/index.js', import.meta.url).href;
  const script = `
    import { Tracker, readCaptureTable, readCaptureStats, MemdriftError } from '${index}';
    import { createRequire } from 'node:module';
    import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
    const truth = createRequire(import.meta.url)(process.env.GROUND_TRUTH);
    const path = ${JSON.stringify(join(truth.folder, `program-${++programs}-`))};
    const print = (value) => console.log(JSON.stringify(value));
    ${body}`;
  const file = join(truth.folder, `program-${programs}.mjs`);
  writeFileSync(file, script);
  const output = execFileSync(process.execPath, ['--expose-gc', file], {
    env: truth.environment,
    encoding: 'utf8',
  });
  return JSON.parse(output) as Record<string, unknown>;
}

test('tracks from its construction to the end of `using`', () => {
  const seen = inProgram(`
    const before = truth.malloc(900_001);
    {
      const tracker = new Tracker(path + 'a.mdc', { role: 'mine' });
      globalThis.during = truth.malloc(900_002);
      truth.free(before);
      tracker[Symbol.dispose]();
    }
    globalThis.after = truth.malloc(900_003);
    const { rows, stats } = await readCaptureTable(path + 'a.mdc', { leaks: true });
    const sizes = rows.map((row) => row.bytes).filter((n) => n > 900_000 && n < 900_010);
    print({ ...stats, held: sizes });`);
  expect(seen).toMatchObject({ held: [900_002], role: 'mine', damage: null, droppedRecords: 0 });
  expect(seen.unknownFrees).toBeGreaterThanOrEqual(1);
});

test('stop gives the totals, and can be called again', () => {
  const seen = inProgram(`
    const tracker = new Tracker(path + 'a.mdc', { paused: true });
    truth.free(truth.malloc(80_000_001));
    tracker.start();
    tracker.start();
    tracker.mark('phase');
    truth.free(truth.malloc(80_000_002));
    const stats = await tracker.stop();
    print({ ...stats, again: await tracker.stop(), ended: tracker.ended });`);
  expect(seen).toMatchObject({ ended: null, again: { events: seen.events } });
  expect(seen.peakBytes).toBeGreaterThanOrEqual(80_000_002);
  expect(seen.peakBytes).toBeLessThan(140_000_000);
});

describe('misuse is an error that says so, and loses nothing', () => {
  const cases: Record<string, readonly [string, string]> = {
    'two at once': ['new Tracker(path + "a"); new Tracker(path + "b")', 'ERR_STATE'],
    'a file that is there': ['new Tracker(process.env.GROUND_TRUTH)', 'ERR_EXISTS'],
    'a folder that is not there': ['new Tracker(path + "no/a.mdc")', 'ERR_GONE'],
    'no path': ['new Tracker()', 'ERR_INVALID'],
    'an odd interval': ['new Tracker(path + "a", { intervalMs: 0 })', 'ERR_INVALID'],
    'a mark before the start': ['new Tracker(path + "a", { paused: true }).mark("x")', 'ERR_STATE'],
    'a start after the stop': [
      'const t = new Tracker(path + "a"); t[Symbol.dispose](); t.start()',
      'ERR_STATE',
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [body, code]) => {
    const seen = inProgram(`
      let error;
      try { ${body} } catch (e) { error = e; }
      print({ code: error?.code, isOurs: error instanceof MemdriftError });`);
    expect(seen).toEqual({ code, isOurs: true });
    expect(existsSync(truth.addon)).toBe(true);
  });
});

test('after stop no thread, no descriptor and no mapping of size is left', () => {
  const seen = inProgram(`
    const threads = () => readdirSync('/proc/self/task')
      .map((tid) => readFileSync('/proc/self/task/' + tid + '/comm', 'utf8').trim());
    const files = () => readdirSync('/proc/self/fd').length;
    const status = () => readFileSync('/proc/self/status', 'utf8');
    const anon = () => Number(/RssAnon:\\s+(\\d+)/.exec(status())[1]);
    const once = async (i) => {
      const tracker = new Tracker(path + i + '.mdc');
      for (let n = 0; n < 500; n++) truth.free(truth.malloc(n));
      const running = threads().filter((name) => name.startsWith('memdrift')).length;
      await tracker.stop();
      return running;
    };
    const running = await once('first');
    const before = files();
    const sizes = [];
    for (let batch = 0; batch < 5; batch++) {
      for (let i = 0; i < 50; i++) await once(batch + '-' + i);
      gc();
      sizes.push(anon());
    }
    // V8 takes and gives back as it likes; what we leak would be in every step.
    const steps = sizes.slice(1).map((size, i) => size - sizes[i]);
    print({
      running,
      left: threads().filter((name) => name.startsWith('memdrift')).length,
      files: files() - before,
      grownKb: Math.min(...steps),
    });`);
  expect(seen).toMatchObject({ running: 1, left: 0, files: 0 });
  expect(seen.grownKb).toBeLessThan(500);
});

test('a thread from before the start may ask glibc where its stack is', () => {
  // That takes heap under a lock of the thread: a hook that asks the same waits for itself.
  const seen = inProgram(`
    truth.startAsking();
    const tracker = new Tracker(path + 'a.mdc');
    const answered = truth.askNow(20);
    tracker[Symbol.dispose]();
    print({ answered });`);
  expect(seen).toEqual({ answered: 1 });
});

test('a thread that forks while others allocate, 300 times', () => {
  const seen = inProgram(`
    const tracker = new Tracker(path + 'a.mdc');
    const worker = new (await import('node:worker_threads')).Worker(
      'const t = require(process.env.GROUND_TRUTH); for (;;) t.loop(1000, 64)', { eval: true });
    await new Promise((resolve) => worker.once('online', resolve));
    const bad = truth.forks(300);
    await worker.terminate();
    const stats = await tracker.stop();
    print({ bad, damage: stats.damage });`);
  expect(seen).toEqual({ bad: 0, damage: null });
});

test('a hundred trackers, one after another, keep no memory each', () => {
  const { before, after } = inProgram(`
    const rssBytes = () =>
      1024 * Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    let before = 0;
    for (let i = 0; i < 140; i++) {
      if (i === 40) before = rssBytes();
      await new Tracker(path + i + '.mdc').stop();
    }
    print({ before, after: rssBytes() });
  `) as { before: number; after: number };
  expect(before).toBeGreaterThan(20 << 20);
  expect(after - before).toBeLessThan(15 << 20);
});
