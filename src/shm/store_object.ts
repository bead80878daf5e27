// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** Objects of a store as one process has them: one that it fills, and one that it reads. */
import { binding } from '../binding.ts';
import type { NativeElements, StoreHandle } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import {
  arrayOver,
  type ElementArrays,
  type Elements,
  type ElementType,
  elementsFrom,
  elementsText,
} from './elements.ts';
import { inspectCustom, sizeText } from './inspect_text.ts';

/**
 * For a channel: seals what is to be a message alone. It is deleted from the start, and there for
 * who takes it while this process has a reference, which the caller of this gives up.
 */
export let sealHeld: (producer: StoreProducer) => void;

/** An object that this process fills. Seal it, or abort it; dropped, it is aborted some time. */
export class StoreProducer {
  readonly id: number;
  readonly elementType: ElementType;
  readonly shape: readonly number[];
  readonly #handle: StoreHandle;
  readonly #sizeBytes: number;
  #bytes: Uint8Array<ArrayBuffer> | null;

  static {
    sealHeld = (producer) => {
      binding().storeSealHeld(producer.#handle, producer.id);
      producer.#bytes = null;
    };
  }

  constructor(
    handle: StoreHandle,
    made: { id: number; buffer: ArrayBuffer; elements: NativeElements },
  ) {
    this.#handle = handle;
    this.id = made.id;
    const elements = elementsFrom(made.elements);
    this.elementType = elements.type;
    this.shape = elements.shape;
    this.#bytes = new Uint8Array(made.buffer);
    this.#sizeBytes = this.#bytes.length;
  }

  /**
   * The arena's own memory, with what was there before in it. A view that was taken out has length
   * 0 after seal(), abort() and the store's close().
   * @throws MemdriftError ERR_STATE after seal() and abort(), ERR_CLOSED after the store's close().
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes === null) return ended(this.id, 'sealed or aborted already', 'ERR_STATE');
    return attached(this.#bytes, this.#sizeBytes, this.id);
  }

  /** The same memory as an array of the type that it was created with. @throws as `bytes`. */
  get array(): ElementArrays[ElementType] {
    return arrayOver(this.elementType, this.bytes.buffer);
  }

  /** `array`, of that type and no other. @throws as `bytes`, and ERR_INVALID. */
  as<T extends ElementType>(type: T): ElementArrays[T] {
    return arrayOver(sameType(type, this), this.bytes.buffer);
  }

  /**
   * From now on anybody can get it and nobody can change it.
   * @throws MemdriftError ERR_STATE when it was sealed or aborted, or its buffer was transferred,
   * which could still be written to; ERR_CLOSED.
   */
  seal(): void {
    binding().storeSeal(this.#handle, this.id);
    this.#bytes = null;
  }

  /** Gives the room back. @throws MemdriftError ERR_STATE when it was sealed, ERR_CLOSED. */
  abort(): void {
    binding().storeAbort(this.#handle, this.id);
    this.#bytes = null;
  }

  [inspectCustom](): string {
    const what = elementsText({ type: this.elementType, shape: this.shape });
    const state = this.#bytes === null ? ', sealed or aborted' : '';
    return `StoreProducer ${this.id} { ${what}, ${sizeText(this.#sizeBytes)}${state} }`;
  }
}

/** A reference to a sealed object. Release it: the garbage collector is only the backstop. */
export class StoreObject {
  readonly id: number;
  readonly #handle: StoreHandle;
  readonly #onRelease: () => void;
  readonly #sizeBytes: number;
  #bytes: Uint8Array<ArrayBuffer> | null;
  #elements: Elements | null = null;

  constructor(
    handle: StoreHandle,
    got: { id: number; buffer: ArrayBuffer; onRelease: () => void },
  ) {
    this.#handle = handle;
    this.id = got.id;
    this.#bytes = new Uint8Array(got.buffer);
    this.#sizeBytes = this.#bytes.length;
    this.#onRelease = got.onRelease;
  }

  /**
   * Its bytes. Two references to one object in this environment share their memory; a view that was
   * taken out has length 0 after the last of them is released, and after the store's close(). A
   * buffer that a script transfers, to a worker say, keeps the object until it is collected.
   * @throws MemdriftError ERR_CLOSED after release(), and after the store's close().
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes === null) return ended(this.id, 'released already: get it again', 'ERR_CLOSED');
    return attached(this.#bytes, this.#sizeBytes, this.id);
  }

  /**
   * What was put: a Float32Array for a Float32Array, a Buffer for a Buffer, over the same memory as
   * `bytes`; its shape is in `shape`. @throws as `bytes`, and ERR_UNSUPPORTED for a Float16Array
   * before Node 24.
   */
  get array(): ElementArrays[ElementType] {
    return arrayOver(this.elementType, this.bytes.buffer);
  }

  /**
   * `array`, of that type and no other: `as('float32')` is a Float32Array to TypeScript, too.
   * @throws as `array`, and ERR_INVALID where the object is of another type.
   */
  as<T extends ElementType>(type: T): ElementArrays[T] {
    return arrayOver(sameType(type, this), this.bytes.buffer);
  }

  /** How its maker said what the bytes are; `bytes` where he did not. @throws as `bytes`. */
  get elementType(): ElementType {
    return this.#elementsOnce().type;
  }

  /** Elements along each axis, row-major; empty for bytes, DataViews and Buffers without one. */
  get shape(): readonly number[] {
    return this.#elementsOnce().shape;
  }

  /** Gives the reference up; may be called again. */
  release(): void {
    if (this.#bytes === null) return;
    this.#bytes = null;
    binding().storeRelease(this.#handle, this.id);
    this.#onRelease();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [inspectCustom](): string {
    const size = sizeText(this.#sizeBytes);
    if (this.#bytes === null || this.#bytes.length !== this.#sizeBytes)
      return `StoreObject ${this.id} { ${size}, released }`;
    const what = elementsText({ type: this.elementType, shape: this.shape });
    return `StoreObject ${this.id} { ${what}, ${size} }`;
  }

  /** Asked for when somebody wants it: get() is to cost nothing more. */
  #elementsOnce(): Elements {
    if (this.#elements === null && this.bytes.length === this.#sizeBytes)
      this.#elements = elementsFrom(binding().storeElements(this.#handle, this.id));
    return this.#elements ?? { type: 'bytes', shape: [] };
  }
}

/** The view, unless close() has detached it. */
function attached(
  bytes: Uint8Array<ArrayBuffer>,
  sizeBytes: number,
  id: number,
): Uint8Array<ArrayBuffer> {
  if (bytes.length === sizeBytes) return bytes;
  return ended(id, "detached by its store's close()", 'ERR_CLOSED');
}

function ended(id: number, how: string, code: 'ERR_STATE' | 'ERR_CLOSED'): never {
  throw new MemdriftError(code, `object ${id} was ${how}`, { id });
}

function sameType<T extends ElementType>(
  type: T,
  object: { readonly id: number; readonly elementType: ElementType },
): T {
  if (object.elementType === type) return type;
  throw new MemdriftError(
    'ERR_INVALID',
    `object ${object.id} has elements of type ${object.elementType}, not ${String(type)}; take ` +
      '`bytes` to see them as something else',
    { id: object.id, elementType: object.elementType },
  );
}
