/** Records every allocation of this process, under the stack that made it, into a capture. */
import { createRequire } from 'node:module';
import { basename, dirname, resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { binding } from '../binding.ts';
import { readCaptureStats } from '../capture/capture.ts';
import type { CaptureStats } from '../capture/capture_model.ts';
import type { TrackerHandle } from '../door_tracker.ts';
import { MemdriftError } from '../errors.ts';
import { captureInfo } from './capture_info.ts';
import type { JsHeapModule, JsHeapSampling } from './js_heap.cts';
import { jsHeapModule, trackChildren } from './launch.ts';
import { setMark } from './mark.ts';
import { checkedTrackerOptions, type KnownTrackerOptions, type TrackerOptions } from './options.ts';

/**
 * Tracks from its construction on (or from start(), with `paused`) until stop(), the end of `using`
 * or the end of the process, which leaves a capture that is whole up to its last 100 ms. All
 * threads are tracked. One tracker at a time can run in a process.
 *
 * Cost while it runs: about 0.1 us per allocation; see bench/.
 */
export class Tracker {
  readonly path: string;
  readonly #options: KnownTrackerOptions;
  #handle: TrackerHandle | null = null;
  #jsHeap: JsHeapSampling | null = null;
  #followNoMore = (): void => {};
  #isStopped = false;

  /**
   * @param path of the capture, which must not exist yet.
   * @throws MemdriftError ERR_INVALID, ERR_EXISTS (the file), ERR_STATE (another tracker runs),
   * ERR_UNSUPPORTED.
   */
  constructor(path: string, options: TrackerOptions = {}) {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      throw new MemdriftError('ERR_INVALID', `the path of a capture is a text, not ${path}`);
    }
    this.path = resolve(path);
    this.#options = checkedTrackerOptions(options);
    if (options.paused !== true) this.start();
  }

  /** Begins; without effect while it runs. @throws MemdriftError ERR_STATE after stop(). */
  start(): void {
    if (this.#isStopped) {
      throw new MemdriftError(
        'ERR_STATE',
        `the capture ${basename(this.path)} is closed; make a new Tracker with another path`,
      );
    }
    if (this.#handle !== null) return;
    if (!isMainThread) {
      throw new MemdriftError('ERR_STATE', 'a Tracker is made in the main thread; it tracks all');
    }
    const { role, jsHeap: hasJsHeap, children, commandLine, ...rest } = this.#options;
    const info = captureInfo(role, this.#options);
    const order = { path: this.path, info, checkEvery: 0, commandLines: commandLine };
    this.#handle = binding().trackerStart({ ...order, ...rest });
    setMark((label) => this.mark(label));
    if (hasJsHeap) {
      const { sampleJsHeap } = createRequire(jsHeapModule)(jsHeapModule) as JsHeapModule;
      this.#jsHeap = sampleJsHeap(binding(), this.#handle);
    }
    if (children) this.#followNoMore = this.#follow();
  }

  /** Writes a named moment into the capture. @throws MemdriftError ERR_STATE when not tracking. */
  mark(label: string): void {
    if (typeof label !== 'string') throw new MemdriftError('ERR_INVALID', 'a label is a text');
    binding().trackerMark(this.#running('mark'), label);
  }

  /** Why the capture ended early (disk full, maxBytes), or null. The program goes on untracked. */
  get ended(): string | null {
    return this.#handle === null ? null : binding().trackerEnded(this.#handle);
  }

  /**
   * Takes the hooks out and closes the capture; resolves with what is in it. May be called again.
   * @throws MemdriftError ERR_STATE when it never ran.
   */
  async stop(): Promise<CaptureStats> {
    this.#stopNow();
    return readCaptureStats(this.path);
  }

  [Symbol.dispose](): void {
    if (this.#handle !== null) this.#stopNow();
  }

  #stopNow(): void {
    if (this.#isStopped) return;
    const handle = this.#running('stop');
    this.#followNoMore();
    this.#jsHeap?.stop();
    setMark(undefined);
    binding().trackerStop(handle);
    this.#isStopped = true;
  }

  #follow(): () => void {
    const { role: _role, ...options } = this.#options;
    const folder = dirname(this.path);
    return trackChildren({ folder, file: null, launcherPid: null, socketFolder: null, options });
  }

  #running(what: string): TrackerHandle {
    if (this.#handle !== null && !this.#isStopped) return this.#handle;
    throw new MemdriftError('ERR_STATE', `${what}(): this Tracker does not run; start() it first`);
  }
}
