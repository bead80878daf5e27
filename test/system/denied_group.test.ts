/** A group as another user sees it: bounds instead of what the kernel does not show. */
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { GroupSnapshot } from '../../src/group/group_model.ts';
import { measureGroup } from '../../src/group/measure_group.ts';
import { Sharers } from '../group/sharers.ts';
import { root } from '../tidy/files.ts';

const mb = 1 << 20;
let sharers: Sharers;

beforeAll(() => {
  sharers = new Sharers();
});
afterEach(() => sharers.endAll());
afterAll(() => sharers.remove());

function psAsNobody(pids: readonly number[]): GroupSnapshot {
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const cli = `${root}/dist/cli.js`;
  const command = [process.execPath, cli, 'ps', ...pids.map(String), '--json'];
  const { stdout } = spawnSync('setpriv', [...user, ...command], { encoding: 'utf8' });
  return JSON.parse(stdout) as GroupSnapshot;
}

describe("another user's group", () => {
  test('has a footprint between bounds that hold, and no number for it', async () => {
    const pids = await sharers.start(
      ...[`memfd:${16 * mb}`, 'fork:1', `map:0:0:${8 * mb}`, `private:${4 * mb}`],
    );
    const { totals, footprintRange, unknownPids, segments } = psAsNobody(pids);
    expect(unknownPids).toEqual(pids);
    expect(segments).toEqual([]);
    expect(totals).toMatchObject({ pssBytes: null, footprintBytes: null });
    const exact = measureGroup(pids).totals.footprintBytes as number;
    expect(exact).toBeGreaterThan(20 * mb);
    expect(footprintRange.leastBytes).toBeLessThanOrEqual(exact);
    expect(footprintRange.mostBytes).toBeGreaterThanOrEqual(exact);
  });
});
