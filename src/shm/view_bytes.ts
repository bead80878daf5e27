/** The bytes behind a view. */
import { MemdriftError } from '../errors.ts';

// The language's own getters: a program's subclass may override them, and such a getter may lie, or
// transfer the buffer between a check and its use.
const typedArrays = Object.getPrototypeOf(Uint8Array.prototype);
const ofTypedArray = gettersOf(typedArrays);
const ofDataView = gettersOf(DataView.prototype);
const typeTag = getterOf<string | undefined>(typedArrays, Symbol.toStringTag);

/** Returns `Int8Array` and so on, for arrays of any realm or subclass; undefined for a DataView. */
export function typedArrayName(view: ArrayBufferView): string | undefined {
  return typeTag.call(view);
}

/**
 * Returns the bytes that a view shows now, at a fixed place and length: an array that follows the
 * length of a resizable buffer is taken as it is at this call.
 * @throws MemdriftError ERR_STATE when its buffer was transferred or no longer reaches so far.
 */
export function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  try {
    const isTypedArray = typedArrayName(view) !== undefined;
    const { buffer, byteOffset, byteLength } = isTypedArray ? ofTypedArray : ofDataView;
    const bytes = new Uint8Array(buffer.call(view), byteOffset.call(view), byteLength.call(view));
    // A detached array has length 0, and keys() throws.
    if (bytes.length === 0 && isTypedArray) typedArrays.keys.call(view);
    return bytes;
  } catch (cause) {
    throw new MemdriftError(
      'ERR_STATE',
      'the view has no bytes: its buffer was transferred, resized or released; use the view ' +
        'before that, or a copy',
      { cause },
    );
  }
}

function gettersOf(prototype: object) {
  return {
    buffer: getterOf<ArrayBuffer>(prototype, 'buffer'),
    byteOffset: getterOf<number>(prototype, 'byteOffset'),
    byteLength: getterOf<number>(prototype, 'byteLength'),
  };
}

function getterOf<Value>(prototype: object, name: string | symbol): (this: unknown) => Value {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => Value;
}
