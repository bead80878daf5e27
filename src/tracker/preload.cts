/**
 * Loaded by Node before a program that `memdrift run` starts, and before its children: it begins to
 * track, and says nothing. A program must run whatever goes wrong here.
 */
import type { Binding } from '../door.ts' with { 'resolution-mode': 'import' };
import type { PreloadOrder } from './launch.ts' with { 'resolution-mode': 'import' };

const { join } = require('node:path') as typeof import('node:path');
const cluster = require('node:cluster') as { readonly isWorker: boolean };
const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads');

/** `worker` of a cluster, `child` of anything else, `main` of the command. */
function roleOf(order: PreloadOrder): string {
  if (process.ppid === order.launcherPid) return 'main';
  return cluster.isWorker ? 'worker' : 'child';
}

function captureFile(order: PreloadOrder, role: string): string {
  if (role === 'main' && order.file !== null) return order.file;
  return join(order.folder, `${role}-${process.pid}-${Date.now()}.mdc`);
}

function track(order: PreloadOrder): void {
  const load = require('node-gyp-build') as (root: string) => Binding;
  const native = load(join(__dirname, '../..'));
  const role = roleOf(order);
  const { argv, execArgv, pid, version: nodeVersion } = process;
  const info = { role, pid, argv, execArgv, nodeVersion, startedAtMs: Date.now() };
  const tracker = native.trackerStart({
    path: captureFile(order, role),
    info: JSON.stringify(info),
    nativeStacks: order.options.nativeStacks ?? true,
    lines: order.options.lines ?? false,
    intervalMs: order.options.intervalMs ?? 10,
    maxBytes: order.options.maxBytes ?? 0,
    sampleBytes: order.options.sampleBytes ?? 0,
    checkEvery: 0,
  });
  const { sampleJsHeap } = require('./js_heap.cjs') as import('./js_heap.cts').JsHeapModule;
  const jsHeap = order.options.jsHeap ? sampleJsHeap(native, tracker) : null;
  process.on('exit', () => {
    jsHeap?.stop();
    native.trackerStop(tracker);
  });
}

// A worker is a thread of a process that is tracked already.
if (isMainThread && process.env.MEMDRIFT_TRACK !== undefined) {
  try {
    track(JSON.parse(process.env.MEMDRIFT_TRACK) as PreloadOrder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`memdrift: process ${process.pid} is not tracked: ${reason}\n`);
  }
}
