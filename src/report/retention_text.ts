/** `memdrift explain --deep`: what Buffers hold against what is referenced of them. */
import Table from 'cli-table3';
import type {
  DeepFacts,
  Released,
  RetainedKind,
  RetainedSize,
  RetainedSum,
} from '../drift/retention_model.ts';
import { noBorders } from './borders.ts';
import { counted, megabytes, megabytesWithUnit, sizeWithUnit, unknown } from './units.ts';

const borderless = {
  chars: { ...noBorders, middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

const kindNames: Readonly<Record<RetainedKind, string>> = {
  own: 'ArrayBuffer',
  shared: 'SharedArrayBuffer',
  mapped: 'view of a mapping',
};

const mostSizes = 5;
const leastBytes = 100_000;

export function deepText({ retained, released, unreferencedBytes }: DeepFacts): string {
  const { kinds, ms, sizes } = retained;
  const table = new Table({
    ...borderless,
    head: ['Buffers', 'length', 'count', 'held MB', 'of it referenced', 'by views'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  const row = (name: string, length: string, sum: RetainedSum): void => {
    const { count, heldBytes, referencedBytes, viewCount } = sum;
    table.push([name, length, count, megabytes(heldBytes), megabytes(referencedBytes), viewCount]);
  };
  for (const size of sizes.slice(0, mostSizes).filter(isRetaining)) {
    row(kindNames[size.kind], sizeWithUnit(size.lengthBytes), size);
  }
  for (const [kind, sum] of Object.entries(kinds)) {
    if (sum.count > 0) row(kindNames[kind as RetainedKind], 'all', sum);
  }
  table.push([
    'held by native code, in messages, or by other isolates',
    'all',
    unknown,
    megabytes(unreferencedBytes),
    '-',
    '-',
  ]);
  return [
    'Buffers that are referenced, after a gc; lengths, resident or not',
    table.toString().replace(/ +$/gm, ''),
    releasedText(released),
    `Its main thread waited at most ${ms.toFixed(0)} ms more for this gc and its table.`,
  ].join('\n');
}

/** Node itself has some that are not covered. */
function isRetaining({ heldBytes, referencedBytes }: RetainedSize): boolean {
  return heldBytes - referencedBytes >= leastBytes;
}

/** The program may have taken more meanwhile than was released. */
const inWords = (bytes: number | null): string =>
  bytes === null ? unknown : megabytesWithUnit(Math.max(0, bytes));

function releasedText({
  arrayBufferBytes,
  arrayBufferCount,
  heapBytes,
  mallocBytes,
}: Released): string {
  if (Math.max(arrayBufferBytes, heapBytes, mallocBytes ?? 0) < leastBytes) {
    return 'That gc and the finalizers after it released less than 0.1 MB.';
  }
  const count =
    arrayBufferCount === null ? unknown : counted(Math.max(0, arrayBufferCount), 'ArrayBuffer');
  return (
    `Released by that gc and the finalizers after it: ${inWords(heapBytes)} of objects, ` +
    `${inWords(mallocBytes)} of malloc's, ${inWords(arrayBufferBytes)} of ArrayBuffers (${count}).`
  );
}
