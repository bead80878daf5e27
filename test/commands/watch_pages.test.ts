/** `memdrift report` of logs of a watch, as a user calls it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WatchData } from '../../src/report/watch_page_model.ts';
import { headerOf, knownLines, knownSummary, sampleOf, textOf } from '../report/made_log.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memdrift-watch-pages-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function report(...args: string[]) {
  return spawnSync(process.execPath, [cli, 'report', ...args], { encoding: 'utf8', cwd: folder });
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

function dataIn(page: string): WatchData {
  const text = readFileSync(join(folder, page), 'utf8');
  const [, json] = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(text) ?? [];
  return JSON.parse(json ?? '') as WatchData;
}

const whole = textOf([...knownLines, knownSummary]);

describe('one log', () => {
  test('becomes a page beside it, and replaces none unasked', () => {
    write('run.jsonl', whole);
    expect(report('run.jsonl')).toMatchObject({ status: 0, stdout: 'run.html\n', stderr: '' });
    const [node] = dataIn('run.html').nodes;
    expect(node?.processes.map(({ name }) => name)).toEqual(['python3', 'ren\u2028amed']);
    expect(report('run.jsonl').stderr).toContain('run.html exists; replace it with --force');
    expect(report('run.jsonl', '--force', '-o', 'other.html').stdout).toBe('other.html\n');
  });

  test('of a killed watch becomes a page of what it has, with exit code 0 and a notice', () => {
    write('run.jsonl', whole.slice(0, whole.indexOf('"summary"')));
    const { status, stderr, stdout } = report('run.jsonl');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'run.html\n' });
    expect(stderr).toMatch(
      /^memdrift: run.jsonl: not closed \(the watch was killed, or still runs\)/,
    );
    expect(dataIn('run.html').nodes[0]?.series.timeMs).toEqual([0, 200, 300]);
  });

  test('with damaged lines ends with exit code 3', () => {
    write('run.jsonl', whole.replace('"sample"', '"sample'));
    const { status, stderr } = report('run.jsonl');
    expect(status).toBe(3);
    expect(stderr).toBe(
      'memdrift: run.jsonl can be read up to here only: 1 lines of the log cannot be read\n',
    );
  });

  test('lines across chunks of a file are whole', () => {
    const samples = Array.from({ length: 3000 }, (_, i) => sampleOf(i, {}, [i, i, i]));
    const text = textOf([headerOf(), ...samples, knownSummary]);
    expect(text.length).toBeGreaterThan(3 * 65_536);
    write('long.jsonl', text);
    expect(report('long.jsonl')).toMatchObject({ status: 0, stderr: '' });
    const [node] = dataIn('long.html').nodes;
    expect(node?.series.columns.sumRss).toContain(2999e6);
  });

  test.each([
    ['', 1, /run.jsonl is empty/],
    ['{"timeMs":1}\n', 1, /run.jsonl is no log of memdrift watch/],
    [textOf([headerOf({ schemaVersion: 2 })]), 1, /newer version of memdrift/],
  ])('of %j is an error', (text, status, message) => {
    write('run.jsonl', text);
    const ended = report('run.jsonl');
    expect(ended.stderr).toMatch(message);
    expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' });
  });
});

describe('a folder', () => {
  test('of several logs becomes one page of all; other files are left alone', () => {
    write('watch-n1-1.jsonl', whole);
    write('watch-n2-1.jsonl', whole.replace('"host":"n1"', '"host":"n2"'));
    write('group.jsonl', '{"timeMs":1}\n');
    write('notes.txt', 'x');
    mkdirSync(join(folder, 'folder.jsonl'));
    expect(report('.')).toMatchObject({ status: 0, stdout: 'watch.html\n', stderr: '' });
    const data = dataIn('watch.html');
    expect(data.nodes.map(({ name }) => name)).toEqual(['n1', 'n2']);
    expect(data.job?.views[0]).toMatchObject({ sumBytes: 1200e6, peakBytes: 1200e6 });
  });

  test('a log that cannot be read is told, and the others are shown', () => {
    write('watch-a.jsonl', whole);
    write('watch-b.jsonl', '');
    const ended = report('.', '-o', 'pages');
    expect(ended.stderr).toMatch(/^memdrift: watch-b.jsonl is empty/);
    expect(ended).toMatchObject({ status: 1, stdout: 'pages/watch.html\n' });
    expect(dataIn('pages/watch.html').job).toBeNull();
  });

  test('without captures and logs is an error that says what makes them', () => {
    write('group.jsonl', '{"timeMs":1}\n');
    for (const place of ['.', 'nowhere']) {
      const ended = report(place);
      expect(ended.stderr).toMatch(/has no captures \(\*\.mdc\) and no logs of memdrift watch/);
      expect(ended.status).toBe(1);
    }
  });
});
