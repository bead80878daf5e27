/** What `explain({ deep: true })` adds: what Buffers are referenced, and what no longer is. */

/**
 * own: memory that V8 or an addon has for them. shared: SharedArrayBuffers, which several threads
 * may have. mapped: views of a mapped file or of memory that processes share, a store's among them.
 */
export type RetainedKind = 'own' | 'shared' | 'mapped';

/** Lengths, which may be more than is resident of them. */
export interface RetainedSum {
  /** ArrayBuffers; several over the same memory are one. */
  readonly count: number;
  readonly heldBytes: number;
  /** Those that at least one view covers, and all of an ArrayBuffer that has no view. */
  readonly referencedBytes: number;
  readonly viewCount: number;
  /** ArrayBuffers without a view. */
  readonly unviewedCount: number;
}

/** All ArrayBuffers of a kind and a length. */
export interface RetainedSize extends RetainedSum {
  readonly kind: RetainedKind;
  readonly lengthBytes: number;
}

/** After a gc: what is referenced, and of that, what a view covers. Of one isolate, exact. */
export interface RetainedBuffers {
  readonly kinds: Readonly<Record<RetainedKind, RetainedSum>>;
  /** Those of which the most is not covered, first. */
  readonly sizes: readonly RetainedSize[];
  /** What is not in `sizes`. */
  readonly otherSizes: { readonly count: number; readonly heldBytes: number };
  /** Views of an ArrayBuffer that was not found, in another context for one. */
  readonly strayViewCount: number;
  /** Upper bound of the event loop's wait: the loop may have turned before the gc began. */
  readonly ms: number;
}

/**
 * What went between the explanation and its end: a gc, and turns of the event loop, in which
 * finalizers run that addons have for their ArrayBuffers. Others go on meanwhile: what they took is
 * taken off, so that it can be less than nothing.
 */
export interface Released {
  /** ArrayBuffers with content of malloc's; null: malloc is not walked. */
  readonly arrayBufferCount: number | null;
  /** As V8 counts what Node has for ArrayBuffers. */
  readonly arrayBufferBytes: number;
  /** What malloc had in use, with what ArrayBuffers had of it; null: malloc is not walked. */
  readonly mallocBytes: number | null;
  /** Objects of V8's heap. */
  readonly heapBytes: number;
}

export interface DeepFacts {
  readonly retained: RetainedBuffers;
  readonly released: Released;
  /**
   * After the gc, contents of Buffers that no JavaScript object of the main thread references:
   * native code holds them, or messages, or other isolates.
   */
  readonly unreferencedBytes: number;
}
