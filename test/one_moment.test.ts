/** Compares `ps`, `top`, `watch`, Prometheus and a sampler on one group at rest. */
import { afterEach, expect, test } from 'vitest';
import { measureGroup } from '../src/group/measure_group.ts';
import { watchRegistry } from '../src/metrics/watch_metrics.ts';
import { type Sample, Sampler } from '../src/proc/sampler.ts';
import { TopGroup } from '../src/top/top_group.ts';
import { Views } from '../src/watch/views.ts';
import { Children } from './children.ts';

const children = new Children();
afterEach(() => children.endAll());

/**
 * A process with 60 MB of its own, and two forks that have copied half of these and end with it.
 */
const script = `
import os, sys
data = bytearray(os.urandom(1 << 20) * 60)
ready, says_ready = os.pipe()
end, holds_end = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.close(holds_end)
        for i in range(0, len(data) // 2, 4096): data[i] = 1
        os.write(says_ready, b'x')
        os.read(end, 1)
        os._exit(0)
os.read(ready, 1); os.read(ready, 1)
print('ready', flush=True)
sys.stdin.read()
`;

async function sampleAfterPass(pid: number): Promise<Sample> {
  const sampler = new Sampler({ pids: [pid], tree: true, intervalMs: 50, budgetPercent: 0 });
  try {
    await sampler.pass();
    return await new Promise((resolve) => sampler.on('sample', resolve));
  } finally {
    await sampler.stop();
  }
}

test('ps, top, watch, Prometheus and a sampler agree on a group at rest', async () => {
  const { pid } = await children.run('python3', ['-c', script]);
  const sample = await sampleAfterPass(pid);
  const top = new TopGroup({ pids: [pid], intervalMs: 50, budgetPercent: 50, segments: null });
  const { totals } = await top.lookOnce();
  await top.close();
  const exact = measureGroup([pid], { tree: true }).totals;
  const pss = exact.pssBytes as number;
  expect(pss).toBeGreaterThan(120e6);

  const options = { intervalMs: 50, slurmFrequencyMs: 1000, limitBytes: null };
  const views = new Views({ roots: [pid], outside: [], proctrack: 'cgroup', ...options });
  const now = views.add(sample);
  const look = { sample, views: now, startedAtMs: 0, isInGroup: () => true };
  const registry = watchRegistry({
    now: () => ({ ...look, peaks: () => views.peaks() }),
    limitBytes: null,
    version: '1',
  });
  const metrics = await registry.metrics();
  const metric = (name: string): number =>
    Number(new RegExp(`^memdrift_group_${name}_bytes (.*)$`, 'm').exec(metrics)?.[1]);

  // Others map and unmap libraries all the time: a part of 10 MB here.
  for (const bytes of [now.sumPss, now.footprint, totals.pssBytes, totals.footprintBytes])
    expect(Math.abs((bytes as number) - pss)).toBeLessThan(5e6);
  expect([metric('sum_pss'), metric('footprint')]).toEqual([now.sumPss, now.footprint]);
  for (const [low, high] of [
    sample.group.pss.rangeBytes,
    sample.group.footprint.rangeBytes,
    totals.pssRangeBytes,
    totals.footprintRangeBytes,
    [metric('sum_pss_low'), metric('sum_pss_high')],
    views.peaks().sumPss.rangeBytes as readonly [number, number],
  ] as (readonly [number, number])[]) {
    expect(low).toBeLessThanOrEqual(pss + 1e5);
    expect(high).toBeGreaterThanOrEqual(pss - 1e5);
  }
}, 30_000);
