/** What is in a store, as text: its objects, one a line, and its three sizes side by side. */
import Table from 'cli-table3';
import pc from 'picocolors';
import type { StoreHolder, StoreObjectInfo, StoreStats } from '../shm/store.ts';
import { noBorders } from './borders.ts';
import type { TextOptions } from './experiment_text.ts';
import { printable } from './printable.ts';
import { age, counted, megabytesWithUnit, times } from './units.ts';

/** A store with what was read from it at one moment. */
export interface StoreView {
  readonly name: string;
  readonly path: string;
  readonly stats: StoreStats;
  readonly objects: readonly StoreObjectInfo[];
}

const columns = ['id', 'bytes', 'elements', 'state', 'made by', 'at', 'held by', 'age'] as const;
const rightAligned = new Set<string>(['id', 'bytes', 'age']);
/** Beyond these, holders are counted only. */
const maxHolders = 4;

/** One line per object, oldest first, under a line that sums them up. Ends in a newline. */
export function storeListText({ name, stats, objects }: StoreView, options: TextOptions): string {
  const colors = pc.createColors(options.color);
  const held = objects.filter(({ holders }) => holders.length > 0).length;
  const head =
    `store ${name}: ${counted(objects.length, 'object')}, ${held} held, ` +
    `${megabytesWithUnit(stats.liveBytes)} live, ` +
    `${megabytesWithUnit(stats.residentBytes)} resident`;
  if (objects.length === 0) return `${colors.bold(head)}\n`;
  const table = new Table({
    head: [...columns],
    chars: { ...noBorders },
    colAligns: columns.map((column) => (rightAligned.has(column) ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  const oldestFirst = [...objects].sort((a, b) => b.ageMs - a.ageMs);
  table.push(...oldestFirst.map(objectRow));
  const lines = table.toString().split('\n');
  return `${[colors.bold(head), ...lines.map((line) => line.trimEnd())].join('\n')}\n`;
}

/** The store's three sizes and its counts. Ends in a newline. */
export function storeStatsText({ name, path, stats }: StoreView, options: TextOptions): string {
  const colors = pc.createColors(options.color);
  const { liveBytes, arenaBytes, residentBytes, capacityBytes, objects, clients } = stats;
  const line = (what: string, bytes: number, remark: string): string =>
    `    ${what.padEnd(16)}${megabytesWithUnit(bytes).padStart(12)}  ${remark}`;
  return `${[
    colors.bold(`store ${name} (${path})`),
    line('live objects', liveBytes, `${counted(objects, 'object')}`),
    line('arena in use', arenaBytes, `${times(arenaBytes, liveBytes)} x live`),
    line('resident pages', residentBytes, `${times(residentBytes, liveBytes)} x live`),
    line(
      'capacity',
      capacityBytes,
      `placement ${stats.placement}${stats.evict ? ', evicts the oldest' : ''}`,
    ),
    `    ${counted(clients, 'client')} attached, ${counted(stats.puts, 'put')}, ` +
      `${counted(stats.gets, 'get')}` +
      `${stats.evict ? `, ${counted(stats.evictions, 'eviction')}` : ''} so far`,
  ].join('\n')}\n`;
}

/** `Client 3 (pid 4711)`; a label comes from shared memory and is not trusted with a terminal. */
function personText({ label, pid }: StoreHolder): string {
  return label === '' ? `pid ${pid}` : `${printable(label)} (pid ${pid})`;
}

/** `480x640` */
function shapeText(shape: readonly number[]): string {
  return shape.join('x');
}

function objectRow(info: StoreObjectInfo): string[] {
  const holders = info.holders.slice(0, maxHolders).map(personText);
  const more = info.holders.length - holders.length;
  if (more > 0) holders.push(`${more} more`);
  return [
    String(info.id),
    String(info.sizeBytes),
    info.shape.length === 0 ? info.elementType : `${info.elementType} ${shapeText(info.shape)}`,
    info.state,
    personText(info.creator),
    info.site === '' ? '-' : printable(info.site),
    holders.length === 0 ? 'nobody' : holders.join(', '),
    age(info.ageMs),
  ];
}
