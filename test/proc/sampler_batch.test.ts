/** Samples that are handed over together. */
import { afterEach, expect, test } from 'vitest';
import { type Sample, Sampler } from '../../src/proc/sampler.ts';
import { Children, idleScript } from '../children.ts';

const children = new Children();
afterEach(() => children.endAll());

interface Delivery {
  /** Times of the samples that one turn of the event loop got, and the processes of the last. */
  readonly atMs: number[];
  processes: Sample['processes'];
}

function deliveriesOf(sampler: Sampler): Delivery[] {
  const deliveries: Delivery[] = [];
  let open: Delivery | null = null;
  sampler.on('sample', ({ atMs, processes }) => {
    if (open === null) {
      open = { atMs: [], processes };
      deliveries.push(open);
      setImmediate(() => {
        open = null;
      });
    }
    open.atMs.push(atMs);
    open.processes = processes;
  });
  return deliveries;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('hands over samples of the same processes in batches, in order', async () => {
  const sampler = new Sampler({ pids: ['self'], intervalMs: 20, budgetPercent: 0, batch: 5 });
  const deliveries = deliveriesOf(sampler);
  await until(() => deliveries.length >= 4);
  const { observer } = await sampler.stop();
  // The first sample has new processes, and so waits for no other.
  expect(deliveries[0]?.atMs).toHaveLength(1);
  expect(deliveries.slice(1, 4).every(({ atMs }) => atMs.length >= 5)).toBe(true);
  const all = deliveries.flatMap(({ atMs }) => atMs);
  expect(all).toHaveLength(observer.samples);
  expect(all).toEqual([...all].sort((a, b) => a - b));
});

test('hands over a sample that has a new or an ended process at once', async () => {
  const { pid } = await children.node(idleScript);
  // A full batch would take longer than the test may.
  const sampler = new Sampler({ pids: ['self'], intervalMs: 500, budgetPercent: 0, batch: 100 });
  const deliveries = deliveriesOf(sampler);
  const last = () => deliveries.at(-1)?.processes.map((one) => one.pid);
  await until(() => deliveries.length === 1);
  sampler.add(pid);
  await until(() => last()?.includes(pid) === true);
  process.kill(pid, 'SIGKILL');
  await until(() => last()?.includes(pid) === false);
  expect(deliveries.every(({ atMs }) => atMs.length < 100)).toBe(true);
  await sampler.stop();
});
