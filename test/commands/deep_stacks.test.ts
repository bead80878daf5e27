/** Stacks as deep as the format allows, through every command that reads captures. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeMadeCapture } from '../made_capture.ts';
import { Captured } from './captured.ts';

const captured = new Captured();
afterAll(() => captured.remove());

const depth = 300_000;
const file = join(captured.folder, 'deep.mdc');
const blocks = [
  { depth, bytes: 5_000_000 },
  { depth: depth / 2, bytes: 2_000_000 },
];
writeMadeCapture(file, { depth, blocks });

// The output is up to 100 MB, which takes long on a loaded machine.
describe('a stack of 300,000 functions', { timeout: 120_000 }, () => {
  test('is a tree with a line for each', () => {
    const { status, stdout, stderr } = captured.call('tree', file);
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.trimEnd().split('\n');
    // A title, an empty line, the heads, and last what the function in the middle holds itself.
    expect(lines).toHaveLength(depth + 4);
    expect(lines.at(-1)).toMatch(/^ +2\.00 +28\.6 +1 +\[150,000\] \(own\)$/);
    expect(lines.at(-2)).toMatch(/^ +5\.00 +71\.4 +1 +\[299,999\] step3 {2}\/srv\/app\.js:3$/);
  });

  test('is whole in tables', () => {
    const { status, stdout } = captured.call('table', '-n', '1', file);
    expect(status).toBe(0);
    expect(stdout.match(/^ {4}step\d /gm)).toHaveLength(depth);
  });

  test('is whole in JSON', () => {
    const { status, stdout } = captured.call('table', '--json', file);
    const functions = stdout.split('"function": "step').length - 1;
    expect([status, functions]).toEqual([0, depth + depth / 2]);
  });

  test.each([
    [['tree', '--inverted']],
    [['tree', '--hide-internals']],
    [['table', '--hide-internals']],
    [['stats']],
    [['summary']],
    [['diff', '--from', 'start']],
    [['flamegraph', '--temporal', '-f']],
    [['flamegraph', '--inverted', '-f']],
    [['report', '-f']],
    [['transform', '-f', 'pprof']],
    [['transform', '-f', 'speedscope']],
    [['transform', '-f', 'csv']],
    [['transform', '-f', 'collapsed']],
  ])('is read by %j', ([command = '', ...flags]) => {
    const of = command === 'report' ? captured.folder : file;
    const { status, stderr } = captured.call(command, ...flags, of);
    expect([status, stderr]).toEqual([0, '']);
  });

  test('has no difference from itself', () => {
    const { status, stdout } = captured.call('diff', file, file);
    expect([status, stdout.split('\n').at(-2)]).toEqual([0, 'no stack holds more or less']);
  });

  test('is whole in a line of a csv', () => {
    captured.call('transform', '-f', 'csv', file);
    expect(statSync(join(captured.folder, 'deep.csv')).size).toBeGreaterThan(depth * 20);
  });
});
