/** What was allocated in the course of a capture: by size, by allocator, by function; as text. */
import type { FunctionAllocations } from '../analysis/functions.ts';
import type { CaptureStats } from '../capture/capture_model.ts';
import { frameText } from './frame_text.ts';
import { printable } from './printable.ts';
import { binarySize, megabytes } from './units.ts';

const barColumns = 30;
const numberColumns = 13;

/** The functions that allocated the most. */
export interface Largest {
  readonly byBytes: readonly FunctionAllocations[];
  readonly byCount: readonly FunctionAllocations[];
}

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function allocatedText(stats: CaptureStats, largest: Largest): string {
  return [
    sizeLines(stats),
    allocatorLines(stats),
    functionLines('functions that allocated the most bytes', largest.byBytes),
    functionLines('functions that allocated most often', largest.byCount),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => `\n${lines.join('\n')}\n`)
    .join('');
}

function sizeLines({ sizes }: CaptureStats): readonly string[] {
  if (sizes.length === 0) return [];
  const most = Math.max(...sizes.map(({ count }) => count));
  const rows = sizes.map((bin) => {
    const range = `${binarySize(bin.fromBytes).padStart(8)} to ${binarySize(bin.belowBytes)}`;
    // Also of a count that is small beside the others something is seen.
    const columns = bin.count === 0 ? 0 : Math.max(1, Math.round((bin.count / most) * barColumns));
    return `${row(range, bin)}  ${'█'.repeat(columns)}`.trimEnd();
  });
  return [head('blocks by size'), ...rows];
}

function allocatorLines({ allocators }: CaptureStats): readonly string[] {
  if (allocators.length === 0) return [];
  const rows = allocators.map((one) =>
    row(one.mapping ? `  ${one.name}, made usable` : `  ${one.name}`, one),
  );
  return [head('by allocator'), ...rows];
}

function functionLines(title: string, all: readonly FunctionAllocations[]): readonly string[] {
  if (all.length === 0) return [];
  const rows = all.map((one) => `${numbers(one)}  ${printable(frameText(one.frame))}`);
  return [title, `${names}  function`, ...rows];
}

interface Counted {
  readonly count: number;
  readonly bytes: number;
}

const names = ['count', 'MB'].map((name) => name.padStart(numberColumns)).join('');

function head(title: string): string {
  return `${title.padEnd(24)}${names}`;
}

function row(title: string, one: Counted): string {
  return `${title.padEnd(24)}${numbers(one)}`;
}

function numbers({ count, bytes }: Counted): string {
  const texts = [count.toLocaleString('en-US'), megabytes(bytes)];
  return texts.map((text) => text.padStart(numberColumns)).join('');
}
