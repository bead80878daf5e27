/** `memdrift stats`: the totals of a capture as text. */
import type { CaptureStats } from '../capture/capture.ts';
import { megabytesWithUnit, seconds, unknown } from './units.ts';

/** The whole text, with a newline at its end; sizes in MB of 10^6 bytes. */
export function statsText(stats: CaptureStats): string {
  const line = (name: string, value: string): string => `${name.padEnd(22)}${value}`;
  const count = (value: number): string => value.toLocaleString('en-US');
  return `${[
    line(
      'process',
      `${stats.role ?? unknown}, pid ${stats.pid}, Node ${stats.nodeVersion ?? unknown}`,
    ),
    line('command', stats.argv?.join(' ') ?? unknown),
    line('tracked for', seconds(stats.durationMs)),
    line('events', `${count(stats.events)} in a file of ${megabytesWithUnit(stats.fileBytes)}`),
    line('allocations', `${count(stats.allocations)}, frees ${count(stats.frees)}`),
    line('allocated', megabytesWithUnit(stats.totalBytes)),
    line('recorded', recorded(stats.sampleBytes)),
    line('peak', `${megabytesWithUnit(stats.peakBytes)} live at once`),
    line('live at the end', megabytesWithUnit(stats.leakedBytes)),
    line('lost records', count(stats.droppedRecords)),
    line('unknown frees', `${count(stats.unknownFrees)}, of blocks from before the start`),
  ].join('\n')}\n`;
}

function recorded(sampleBytes: number): string {
  if (sampleBytes === 0) return 'every allocation';
  return `one in ${sampleBytes.toLocaleString('en-US')} bytes: sizes are estimates`;
}
