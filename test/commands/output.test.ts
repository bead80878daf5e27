/** Files that commands make: their modes, and the files that they replace. */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { writeOutput } from '../../src/commands/output.ts';
import { writeMadeCapture } from '../made_capture.ts';
import { Captured } from './captured.ts';

const root = mkdtempSync(join(tmpdir(), 'memdrift-output-'));
const captured = new Captured();
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  captured.remove();
});

let folder = '';
let to = '';
let source = '';
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
  to = join(folder, 'out');
  source = join(root, 'source');
  writeFileSync(source, '', { mode: 0o600 });
  chmodSync(source, 0o600);
});

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
const write = (replaces: boolean, text = 'new'): void =>
  writeOutput(to, [text], { madeFrom: [source], replaces });

describe('a new file', () => {
  test('has mode 0600 under any umask', () => {
    const before = process.umask(0);
    try {
      write(false);
    } finally {
      process.umask(before);
    }
    expect([modeOf(to), readFileSync(to, 'utf8')]).toEqual(['600', 'new']);
  });

  test('is not made through a link', () => {
    symlinkSync(join(folder, 'elsewhere'), to);
    expect(() => write(false)).toThrow(expect.objectContaining({ code: 'ERR_EXISTS' }));
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  test('is removed when it cannot be written whole', () => {
    function* pieces(): Generator<string> {
      yield 'x';
      throw new Error('no more');
    }
    const plan = { madeFrom: [source], replaces: true };
    expect(() => writeOutput(to, pieces(), plan)).toThrow('no more');
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(to, 'old');
    expect(() => writeOutput(to, pieces(), plan)).toThrow('no more');
    expect([readdirSync(folder), readFileSync(to, 'utf8')]).toEqual([['out'], 'old']);
  });
});

describe('a file that is replaced', () => {
  test.each([
    ['644', 0o600, '600'],
    ['600', 0o644, '600'],
    ['666', 0o644, '644'],
    ['640', 0o640, '640'],
  ])('of mode %s has no wider one than its capture of %o', (mode, ofSource, expected) => {
    writeFileSync(to, 'old and longer');
    chmodSync(to, mode);
    chmodSync(source, ofSource);
    write(true);
    expect([modeOf(to), readFileSync(to, 'utf8')]).toEqual([expected, 'new']);
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('is another file, so that hard links of the old one keep their content', () => {
    writeFileSync(to, 'old');
    linkSync(to, join(folder, 'other'));
    write(true);
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('old');
  });

  test('stays without `replaces`, and ERR_EXISTS is thrown', () => {
    writeFileSync(to, 'old');
    expect(() => write(false)).toThrow(expect.objectContaining({ code: 'ERR_EXISTS' }));
    expect(readFileSync(to, 'utf8')).toBe('old');
  });

  test('may be behind a link of this user, which stays', () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'old', { mode: 0o644 });
    symlinkSync(file, to);
    write(true);
    expect([lstatSync(to).isSymbolicLink(), readFileSync(file, 'utf8')]).toEqual([true, 'new']);
    expect(modeOf(file)).toBe('600');
  });

  test('is not made behind a link to a missing file', () => {
    symlinkSync(join(folder, 'missing'), to);
    const message = expect.stringMatching(/out: it is a symbolic link to a missing file; remove/);
    expect(() => write(true)).toThrow(expect.objectContaining({ code: 'ERR_SYSTEM', message }));
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('may be a device or a pipe, which stays one', () => {
    writeOutput('/dev/null', ['x'], { madeFrom: [source], replaces: true });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

test('rejects a missing folder with an error that names the file', () => {
  to = join(folder, 'none', 'out');
  expect(() => write(true)).toThrow(expect.objectContaining({ code: 'ERR_SYSTEM' }));
});

describe('of a capture of mode 0600', () => {
  const capture = join(captured.folder, 'one.mdc');
  writeMadeCapture(capture, { depth: 3, blocks: [{ depth: 3, bytes: 1000 }] });

  test.each([
    [['flamegraph', capture], 'one.html'],
    [['transform', 'pprof', capture], 'one.pb.gz'],
    [['transform', 'speedscope', capture], 'one.speedscope.json'],
    [['transform', 'collapsed', capture], 'one.txt'],
    [['transform', 'csv', capture], 'one.csv'],
    [['report', '-f', captured.folder], 'index.html'],
    [['report', '-f', captured.folder, '-o', join(captured.folder, 'new')], 'new/index.html'],
  ])('%j makes no file that other users can read', (args, made) => {
    const { status, stderr } = captured.call(...args);
    expect([status, stderr]).toEqual([0, '']);
    const path = join(captured.folder, made);
    expect(modeOf(path)).toBe('600');
    if (made.startsWith('new/')) expect(modeOf(join(captured.folder, 'new'))).toBe('700');
    chmodSync(path, 0o644);
    captured.call(...args.filter((arg) => arg !== '-f'), '-f');
    expect(modeOf(path)).toBe('600');
  });

  test('watch makes a log, a report and pages that no other user can read', () => {
    const logs = join(captured.folder, 'logs');
    mkdirSync(logs);
    const file = (name: string): string => join(logs, name);
    const command = ['--out', file('w.jsonl'), '--json', file('w.json'), '--', 'true'];
    expect(captured.call('watch', ...command).status).toBe(0);
    expect(captured.call('report', logs).status).toBe(0);
    const modes = ['w.jsonl', 'w.json', 'watch.html'].map((name) => modeOf(file(name)));
    expect(modes).toEqual(['600', '600', '600']);
  });
});
