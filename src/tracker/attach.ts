/** Tracking of a process that was not prepared for it: no restart, no debugger, no ptrace. */
import { createRequire } from 'node:module';
import { bindingFile } from '../binding.ts';
import { askTracked } from '../entry/control_client.ts';
import { evaluateIn } from '../entry/inspector.ts';
import { checkExists, checkTarget, type EntryOptions, getBuiltin } from '../entry/target.ts';
import { MemdriftError } from '../errors.ts';
import { newCapturePath } from './capture_path.ts';
import type { CommandLineModule } from './command_line.cts';
import { commandLineModule, jsHeapModule } from './launch.ts';
import { checkedTrackerOptions, type TrackerOptions } from './options.ts';

export interface AttachOptions
  extends EntryOptions,
    Pick<TrackerOptions, 'commandLine' | 'jsHeap' | 'lines' | 'nativeStacks' | 'sampleBytes'> {
  /** Where the process writes its capture; must not exist. */
  readonly path: string;
}

export type DetachOptions = EntryOptions;

const { commandLineOf } = createRequire(commandLineModule)(commandLineModule) as CommandLineModule;

/** Where the process keeps what detach needs. */
const place = "globalThis[Symbol.for('memdrift.attached')]";

/** Where mark() of the program's own copy of the package looks. */
const markPlace = "globalThis[Symbol.for('memdrift.mark')]";

/**
 * Begins to track the process, by its own socket where `memdrift run` started it and otherwise
 * through its inspector, with samples of 512 KiB unless told otherwise.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED, ERR_STATE (it is tracked already),
 * ERR_EXISTS, ERR_INVALID (no such folder), ERR_TIMEOUT, ERR_BUSY (another process has the
 * inspector's port).
 */
export async function attach(pid: number, options: AttachOptions): Promise<void> {
  const { path, yesOpenInspector: _open, signal: _signal, onNotice: _onNotice, ...rest } = options;
  const all = checkedTrackerOptions({ sampleBytes: 512 << 10, ...rest });
  const { role: _role, children: _children, ...asked } = all;
  const file = newCapturePath(path);
  checkExists(pid);
  if (await askTracked(pid, { do: 'start', path: file, options: asked })) return;
  const { jsHeap, commandLine, ...known } = asked;
  const heapModule = jsHeap ? jsHeapModule : null;
  checkTarget(pid, [bindingFile(), ...(heapModule === null ? [] : [heapModule])]);
  const order = { ...known, path: file, checkEvery: 0, commandLines: commandLine };
  const expression = `(() => {
    if (${place}) return false;
    const addon = { exports: {} };
    process.dlopen(addon, ${JSON.stringify(bindingFile())});
    const { pid, version: nodeVersion } = process;
    const started = (${commandLineOf})(process, ${commandLine});
    const order = ${JSON.stringify(order)};
    const { lines } = order;
    const info = { role: 'attached', pid, ...started, nodeVersion, lines, startedAtMs: Date.now() };
    const heap = ${JSON.stringify(heapModule)};
    const { createRequire } = heap ? (${getBuiltin})('module') : {};
    const { sampleJsHeap } = heap ? createRequire(heap)(heap) : {};
    let tracker;
    try {
      tracker = addon.exports.trackerStart({ ...order, info: JSON.stringify(info) });
    } catch (error) {
      if (error.code === 'ERR_STATE') return false;
      throw error;
    }
    const jsHeap = sampleJsHeap?.(addon.exports, tracker);
    ${place} = { addon, tracker, jsHeap, path: order.path };
    ${markPlace} = (label) => addon.exports.trackerMark(tracker, label);
    return true;
  })()`;
  if (await evaluateIn(pid, { expression }, options)) return;
  const remedy = `memdrift detach ${pid}, or stop() of the program's own Tracker, ends that`;
  throw new MemdriftError('ERR_STATE', `process ${pid} is being tracked already; ${remedy}`, {
    pid,
  });
}

/**
 * Ends what attach() or `memdrift run` began; the capture's path.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED, ERR_STATE (not attached to).
 */
export async function detach(pid: number, options: DetachOptions = {}): Promise<string> {
  checkExists(pid);
  const answer = await askTracked(pid, { do: 'stop' });
  if (typeof answer?.path === 'string') return answer.path;
  if (answer !== null) throw notTracked(pid);
  checkTarget(pid, []);
  const expression = `(() => {
    const attached = ${place};
    if (!attached) return null;
    ${place} = ${markPlace} = undefined;
    attached.jsHeap?.stop();
    attached.addon.exports.trackerStop(attached.tracker);
    return attached.path;
  })()`;
  const path = await evaluateIn(pid, { expression }, options);
  if (typeof path === 'string') return path;
  throw notTracked(pid);
}

function notTracked(pid: number): MemdriftError {
  const what = `process ${pid} is not being tracked; memdrift attach ${pid} begins to`;
  return new MemdriftError('ERR_STATE', what, { pid });
}
