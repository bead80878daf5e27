/**
 * Loaded by Node before a program that `memdrift run` starts, and before its children: it begins to
 * track, and says nothing. A program must run whatever goes wrong here.
 */
import type { Binding } from '../door.ts' with { 'resolution-mode': 'import' };
import type { CommandLineModule } from './command_line.cts';
import type { Control } from './control.cts';
import type { PreloadOrder } from './launch.ts' with { 'resolution-mode': 'import' };
import type { PreloadOrderModule } from './preload_order.cts';

const { join } = require('node:path') as typeof import('node:path');
const cluster = require('node:cluster') as { readonly isWorker: boolean };
const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads');

/** `worker` of a cluster, `child` of anything else, `main` of the command. */
function roleOf(order: PreloadOrder): string {
  if (process.pid === order.launcherPid) return 'main';
  return cluster.isWorker ? 'worker' : 'child';
}

function captureFile(order: PreloadOrder, role: string): string {
  if (role === 'main' && order.file !== null) return order.file;
  return join(order.folder, `${role}-${process.pid}-${Date.now()}.mdc`);
}

type Options = PreloadOrder['options'];

/** The program's last line of JavaScript has run: a capture that ends now is not being detached. */
let isExiting = false;

interface Place {
  readonly path: string;
  readonly role: string;
  readonly run: string | undefined;
}

type OtherChildren = ReturnType<Binding['trackerStop']>;

/** Begins a capture of this process. Returns a function that ends it. */
function startCapture(native: Binding, { path, role, run }: Place, options: Options): () => void {
  const { commandLineOf } = require('./command_line.cjs') as CommandLineModule;
  const { pid, version: nodeVersion } = process;
  const started = commandLineOf(process, options.commandLine !== false);
  const { lines = false } = options;
  const info = { role, pid, run, ...started, nodeVersion, lines, startedAtMs: Date.now() };
  const tracker = native.trackerStart({
    path,
    info: JSON.stringify(info),
    nativeStacks: options.nativeStacks ?? true,
    lines,
    commandLines: options.commandLine !== false,
    intervalMs: options.intervalMs ?? 10,
    maxBytes: options.maxBytes ?? 0,
    sampleBytes: options.sampleBytes ?? 0,
    checkEvery: 0,
  });
  const { sampleJsHeap } = require('./js_heap.cjs') as import('./js_heap.cts').JsHeapModule;
  const jsHeap = options.jsHeap ? sampleJsHeap(native, tracker) : null;
  // Where mark() of the program's own copy of the package looks.
  const marked = globalThis as { [place: symbol]: ((label: string) => void) | undefined };
  const markPlace = Symbol.for('memdrift.mark');
  marked[markPlace] = (label) => native.trackerMark(tracker, label);
  return () => {
    jsHeap?.stop();
    marked[markPlace] = undefined;
    const others = native.trackerStop(tracker);
    if (role === 'main' && isExiting) report(others, (line) => native.trackerSay(tracker, line));
  };
}

function track(text: string): void {
  const orders = require('./preload_order.cjs') as PreloadOrderModule;
  const order = orders.parsedOrder(text);
  orders.spareRestrictedChildren();
  const load = require('node-gyp-build') as (root: string) => Binding;
  const native = load(join(__dirname, '../..'));
  if (order.filters !== undefined && native.trackerFilters() > order.filters)
    throw new Error('system calls are filtered (seccomp), and a call of the tracker may end it');
  const role = roleOf(order);
  let path: string | null = captureFile(order, role);
  const { run } = order;
  let stopCapture = startCapture(native, { path, role, run }, order.options);
  const control: Control = {
    start(to, options) {
      if (path !== null) throw new Error('it is being tracked already; memdrift detach ends that');
      // A request for another capture must not undo the launcher's --no-command-line.
      const isAllowed = order.options.commandLine !== false;
      const commandLine = isAllowed && options.commandLine !== false;
      stopCapture = startCapture(native, { path: to, role, run }, { ...options, commandLine });
      path = to;
    },
    stop() {
      const stopped = path;
      if (path !== null) stopCapture();
      path = null;
      return stopped;
    },
    explain: (deep) => factsOf(native, deep),
  };
  if (order.options.children === false) forgetOrder(orders.withoutRequire);
  let removeSocket = (): void => {};
  allowOneMoreListener();
  process.on('exit', () => {
    try {
      isExiting = true;
      control.stop();
    } catch (error) {
      // Listeners behind this one are the program's, and its exit code too.
      complain(error);
    }
    removeSocket();
  });
  if (order.socketFolder === null) return;
  const { serveControl } = require('./control.cjs') as import('./control.cts').ControlModule;
  removeSocket = serveControl(order.socketFolder, control, native);
}

/**
 * Node warns of a leak when an event has more listeners than this; the program's own are as many as
 * without ours. Not setMaxListeners(), after which a default that the program sets does not count.
 */
function allowOneMoreListener(): void {
  const { EventEmitter } = require('node:events') as typeof import('node:events');
  let own = (process as { _maxListeners?: number | undefined })._maxListeners;
  Object.defineProperty(process, '_maxListeners', {
    configurable: true,
    enumerable: true,
    get: () => {
      const most = own ?? EventEmitter.defaultMaxListeners;
      return most === 0 ? 0 : most + 1;
    },
    set: (most: number | undefined) => {
      own = most;
    },
  });
}

function factsOf(native: Binding, deep: boolean): Promise<string> | string {
  if (deep) {
    type Deep = import('../drift/deep_facts.cts').DeepFactsModule;
    return (require('../drift/deep_facts.cjs') as Deep).gatherDeepAsText(native);
  }
  type Module = import('../drift/inside_facts.cts').InsideFactsModule;
  const { gatherInsideAsText } = require('../drift/inside_facts.cjs') as Module;
  return gatherInsideAsText(native);
}

/** Children of this process are not tracked: neither variable is theirs. */
function forgetOrder(withoutRequire: PreloadOrderModule['withoutRequire']): void {
  delete process.env.MEMDRIFT_TRACK;
  const before = withoutRequire(process.env.NODE_OPTIONS ?? '');
  if (before !== '') process.env.NODE_OPTIONS = before;
  else delete process.env.NODE_OPTIONS;
}

/** A snapshot cannot hold native code, and is not the program. */
function isBuildingSnapshot(): boolean {
  const { startupSnapshot } = require('node:v8') as typeof import('node:v8');
  return startupSnapshot.isBuildingSnapshot();
}

/** Writes without process.stderr, which would change the flags of the program's descriptor. */
function complain(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const [line] = `${reason}`.split('\n');
  try {
    const { writeSync } = require('node:fs') as typeof import('node:fs');
    writeSync(2, `memdrift: process ${process.pid} is not tracked: ${line}\n`);
  } catch {
    // The program runs with a closed stderr too.
  }
}

/** Reports processes that have no capture, since they do not run Node, in one line. */
function report(others: OtherChildren, say: (line: string) => void): void {
  const mostNames = 3;
  // A shell that starts a command is not worth a line on the program's stderr.
  const leastBytes = 10e6;
  const largest = others.sort((a, b) => b.peakRssBytes - a.peakRssBytes);
  if ((largest[0]?.peakRssBytes ?? 0) < leastBytes) return;
  const texts = largest.slice(0, mostNames).map(({ name, pid, peakRssBytes }) => {
    const peak = (peakRssBytes / 1e6).toFixed(2);
    return `${name.replace(/[^ -~]/g, '?')} ${peak} MB (pid ${pid})`;
  });
  const left = largest.length - texts.length;
  if (left > 0) texts.push(`${left} smaller (memdrift stats lists them)`);
  say(`memdrift: peak RSS (lower bounds) of processes that do not run Node: ${texts.join(', ')}\n`);
}

// A worker is a thread of a process that is tracked already.
if (isMainThread && process.env.MEMDRIFT_TRACK !== undefined) {
  try {
    if (!isBuildingSnapshot()) track(process.env.MEMDRIFT_TRACK);
  } catch (error) {
    complain(error);
  }
}
