/** Sentences about memory of Workers. */
import type { Explanation, ThreadBytes } from '../drift/explain_model.ts';
import { type Advice, bytesOf, size } from './advice_facts.ts';
import { threadName } from './thread_text.ts';
import { megabytesWithUnit } from './units.ts';

export const threadAdvices: readonly Advice[] = [
  {
    name: 'objects of Workers',
    cause: 'v8-heap',
    bytes: (e) =>
      ofWorkers(e, 'heapBytes') > 0 && areObjectsOfWorkers(e) ? bytesOf(e, 'v8-heap') : 0,
    text: (e) =>
      `${megabytesWithUnit(ofWorkers(e, 'heapBytes'))} of ${size(e, 'v8-heap')} in V8's heap are ` +
      `objects of Workers, ${largestText(e, 'heapBytes')}: worker.getHeapSnapshot() shows what ` +
      'references them.',
  },
  {
    name: 'objects of other isolates',
    cause: 'v8-heap',
    bytes: (e) =>
      ofWorkers(e, 'heapBytes') === 0 && areObjectsOfWorkers(e) ? bytesOf(e, 'v8-heap') : 0,
    text: (e) => {
      const others = (e.v8?.isolates ?? 1) - 1;
      const isolates = others === 1 ? 'another isolate' : `${others} other isolates`;
      return (
        `${megabytesWithUnit(e.v8?.heapUsedBytes ?? null)} of ${size(e, 'v8-heap')} in V8's heap ` +
        `are objects of the main thread. The rest belongs to ${isolates} (Workers) or is free ` +
        `room${e.deep === null ? '; explain --deep shows the memory of each Worker' : ''}.`
      );
    },
  },
  {
    name: 'Buffers of Workers',
    cause: 'array-buffers',
    bytes: (e) => (areBuffersOfWorkers(e) ? bytesOf(e, 'array-buffers') : 0),
    text: (e) =>
      `${size(e, 'array-buffers')} are contents of Buffers; Workers count ` +
      `${megabytesWithUnit(ofWorkers(e, 'externalBytes'))} of external memory, ` +
      `${largestText(e, 'externalBytes')}.`,
  },
];

/** Returns true when the main thread has less than half of the objects. */
export function areObjectsOfWorkers(e: Explanation): boolean {
  const { v8 } = e;
  return v8 !== null && v8.isolates > 1 && v8.heapUsedBytes < bytesOf(e, 'v8-heap') / 2;
}

/** Returns true when Workers made most Buffers and the main thread less than half. */
export function areBuffersOfWorkers(e: Explanation): boolean {
  const all = bytesOf(e, 'array-buffers');
  const ofMain = e.v8?.arrayBuffersBytes ?? all;
  return ofWorkers(e, 'externalBytes') > all / 2 && ofMain < all / 2;
}

/** Returns the sum of the Workers that have answered; 0 where Workers were not asked. */
export function ofWorkers({ byThread }: Explanation, column: keyof ThreadBytes): number {
  const workers = (byThread?.threads ?? []).filter(({ threadId }) => threadId !== 0);
  return workers.reduce((sum, { bytes }) => sum + (bytes?.[column] ?? 0), 0);
}

function largestText({ byThread }: Explanation, column: keyof ThreadBytes): string {
  const workers = (byThread?.threads ?? []).filter(({ threadId }) => threadId !== 0);
  const most = workers.reduce((a, b) =>
    (a.bytes?.[column] ?? 0) < (b.bytes?.[column] ?? 0) ? b : a,
  );
  if (workers.length === 1) return `of thread ${threadName(most)}`;
  const bytes = most.bytes?.[column] ?? null;
  return `${megabytesWithUnit(bytes)} of these of thread ${threadName(most)}`;
}
