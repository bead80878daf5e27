/** Stacks that are known by their key, held against what V8 says at the same moment. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { NativeTrackerReport } from '../../src/door_tracker.ts';
import { fixture, GroundTruth } from '../ground_truth.ts';

const truth = new GroundTruth();
afterAll(() => truth.remove());

const loader = new URL('../../dist/binding.js', import.meta.url).href;

function reportOf(name: string, node: readonly string[]): NativeTrackerReport {
  const program = fixture('plain_work.mjs');
  const args = [...node, program, loader, join(truth.folder, `${name}.mdc`), '10'];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

test('in plain work none is wrong, and hardly one is not found by walking', () => {
  const report = reportOf('plain', []);
  expect(report.stacks_checked).toBeGreaterThan(1000);
  expect(report.stacks_wrong).toBe(0);
  expect(report.stacks_broken / report.stacks_new).toBeLessThan(0.01);
});

test('while V8 moves code and objects at every turn one in a thousand is at most', () => {
  const report = reportOf('moving', ['--gc-interval=500', '--stress-compaction']);
  expect(report.stacks_checked).toBeGreaterThan(1000);
  expect(report.stacks_wrong / report.stacks_checked).toBeLessThanOrEqual(0.001);
});
