/** Checks the order that the preload finds in its environment, which any user may have written. */
import type { PreloadOrder } from './launch.ts' with { 'resolution-mode': 'import' };

const { isAbsolute } = require('node:path') as typeof import('node:path');

const isPath = (value: unknown): boolean => typeof value === 'string' && isAbsolute(value);

function isCount(value: unknown, least: number, most: number): boolean {
  if (value === undefined) return true;
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** Returns the order in `text`. @throws Error when it is not one. */
function parsedOrder(text: string): PreloadOrder {
  const order = JSON.parse(text) as PreloadOrder | null;
  const options = order?.options;
  const isOrder =
    typeof order === 'object' &&
    typeof options === 'object' &&
    options !== null &&
    isPath(order?.folder) &&
    (order?.run === undefined || typeof order.run === 'string') &&
    (order?.file === null || isPath(order?.file)) &&
    (order?.socketFolder === null || isPath(order?.socketFolder)) &&
    isCount(order?.filters, 0, Number.MAX_SAFE_INTEGER) &&
    isCount(options.intervalMs, 1, 3_600_000) &&
    isCount(options.sampleBytes, 0, 2 ** 40) &&
    isCount(options.maxBytes, 0, Number.MAX_SAFE_INTEGER);
  if (!isOrder) throw new Error('MEMDRIFT_TRACK was not set by memdrift run');
  return order as PreloadOrder;
}

/** Returns `NAME=value` pairs without those that make a child tracked. */
function withoutOrder(pairs: readonly string[]): string[] {
  return pairs.flatMap((pair) => {
    if (pair.startsWith('MEMDRIFT_TRACK=')) return [];
    if (!pair.startsWith('NODE_OPTIONS=')) return [pair];
    const left = withoutRequire(pair.slice('NODE_OPTIONS='.length));
    return left === '' ? [] : [`NODE_OPTIONS=${left}`];
  });
}

/**
 * Returns NODE_OPTIONS as it was before launch.ts appended to it; quotes in the path are escaped.
 */
function withoutRequire(options: string): string {
  return options.replace(/ ?--require "(?:[^"\\]|\\.)*preload(?:-[0-9a-f]{16})?\.cjs"$/, '');
}

/** The part of libuv's start of a process that is used here; asynchronous and synchronous. */
interface Start {
  readonly args?: readonly string[];
  readonly envPairs?: readonly string[];
}
type Starter = { spawn: (options: Start) => unknown };

/**
 * Starts children under Node 20's permission model untracked: it hides the preload, without which
 * they would not start.
 */
function spareRestrictedChildren(): void {
  if (!process.version.startsWith('v20.')) return;
  const { ChildProcess } = require('node:child_process') as typeof import('node:child_process');
  const { _handle: handle } = new ChildProcess() as unknown as { _handle: object };
  const { noDeprecation } = process;
  process.noDeprecation = true;
  const { binding } = process as unknown as { binding(name: string): Starter };
  const starters = [Object.getPrototypeOf(handle) as Starter, binding('spawn_sync')];
  process.noDeprecation = noDeprecation as boolean;
  for (const starter of starters) {
    const { spawn } = starter;
    starter.spawn = function (this: unknown, options) {
      return spawn.call(this, spared(options));
    };
  }
}

function spared(options: Start): Start {
  const isRestricted = [...(options.args ?? []), ...(options.envPairs ?? [])].some((text) =>
    text.includes('--experimental-permission'),
  );
  if (!isRestricted || options.envPairs === undefined) return options;
  return { ...options, envPairs: withoutOrder(options.envPairs) };
}

module.exports = { parsedOrder, spareRestrictedChildren, withoutRequire };

/** Type of this module. */
export interface PreloadOrderModule {
  readonly parsedOrder: typeof parsedOrder;
  readonly spareRestrictedChildren: typeof spareRestrictedChildren;
  readonly withoutRequire: typeof withoutRequire;
}
