// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** A named piece of memory that processes share: a file in /dev/shm and one ArrayBuffer over it. */
import { binding } from '../binding.ts';
import type { NativeSegmentInfo, SegmentHandle } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { checkBufferSize, checkName, checkSize } from './arguments.ts';

/**
 * Who reaches a buffer keeps its attachment: a Segment that was dropped, not closed, must not take
 * the memory away from under a view.
 */
const attachmentOf = new WeakMap<ArrayBuffer, SegmentHandle>();

/** What is known of a segment without being attached to it. */
export type SegmentInfo = NativeSegmentInfo;

/**
 * An attachment to a shared-memory segment, `/dev/shm/memdrift.<name>`, mode 0600.
 *
 * A segment lives as long as somebody is attached: the last one out removes it, and what killed
 * processes left is removed at the next create. All calls are synchronous and take microseconds,
 * except create, which allocates the pages (about 0.3 ms per MB). One that is dropped without
 * close() is closed some time after nobody reaches it or its buffer; do not count on when.
 */
export class Segment {
  #handle: SegmentHandle | null;
  readonly name: string;
  /** The file, for the Sampler's `segments` and for people. */
  readonly path: string;
  readonly sizeBytes: number;

  private constructor(handle: SegmentHandle) {
    this.#handle = handle;
    const info = binding().segmentInfo(handle);
    this.name = info.name;
    this.path = info.path;
    this.sizeBytes = info.sizeBytes;
  }

  /**
   * Makes a segment of zeros and attaches to it; others see it once it is whole.
   * @throws MemdriftError ERR_INVALID, ERR_EXISTS, ERR_TOO_LARGE (for an ArrayBuffer of this Node),
   * ERR_FULL (no room in /dev/shm), ERR_NO_MEMORY (none in the machine).
   */
  static create(options: { readonly name: string; readonly sizeBytes: number }): Segment {
    checkName('segment', options.name);
    checkSize('sizeBytes', options.sizeBytes, 1);
    checkBufferSize(`segment ${options.name}`, options.sizeBytes);
    return new Segment(binding().segmentCreate(options.name, options.sizeBytes));
  }

  /**
   * Attaches to an existing segment.
   * @throws MemdriftError ERR_GONE when there is none, ERR_DENIED when it is another user's,
   * ERR_MALFORMED when the file is not a segment, ERR_TOO_LARGE.
   */
  static open(name: string): Segment {
    checkName('segment', name);
    const segment = new Segment(binding().segmentOpen(name));
    try {
      checkBufferSize(`segment ${name}`, segment.sizeBytes);
    } catch (error) {
      segment.close();
      throw error;
    }
    return segment;
  }

  /** Removes the name; those attached keep the memory. @throws MemdriftError ERR_GONE. */
  static unlink(name: string): void {
    checkName('segment', name);
    binding().segmentUnlink(name);
  }

  /** The segments, flags and stores of this user. */
  static list(): SegmentInfo[] {
    return binding().segmentList();
  }

  /** Removes what dead processes of this user left; returns the names. Every create does it too. */
  static sweep(): string[] {
    return binding().segmentSweep();
  }

  /**
   * The shared memory, the same ArrayBuffer at every use. Others write to it while you read: use
   * Atomics, or a Flag. Its length is 0 after close(). Do not transfer it; open it again by name.
   * @throws MemdriftError ERR_CLOSED.
   */
  get buffer(): ArrayBuffer {
    if (this.#handle === null) {
      throw new MemdriftError(
        'ERR_CLOSED',
        `segment ${this.name} was closed; open it again with Segment.open`,
        { name: this.name },
      );
    }
    const buffer = binding().segmentBuffer(this.#handle);
    attachmentOf.set(buffer, this.#handle);
    return buffer;
  }

  /**
   * Detaches; may be called again. The last one out removes the segment. Wait first for what you
   * started on the buffer off the thread (fs, zlib, crypto): its memory is unmapped now.
   */
  close(): void {
    if (this.#handle !== null) binding().segmentClose(this.#handle);
    this.#handle = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
