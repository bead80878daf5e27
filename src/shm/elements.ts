/** What the bytes of an object are: one list of element types, and the arrays that show them. */
import type { NativeElements } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { bytesOf, typedArrayName } from './view_bytes.ts';

/** Node's Buffer to who has its types; this package's own types do not need them. */
type NodeBuffer = typeof globalThis extends { Buffer: { alloc(size: number): infer Instance } }
  ? Instance
  : Uint8Array<ArrayBuffer>;

/** What `StoreObject.array` is for each element type. */
export interface ElementArrays {
  bytes: Uint8Array<ArrayBuffer>;
  int8: Int8Array<ArrayBuffer>;
  uint8: Uint8Array<ArrayBuffer>;
  uint8clamped: Uint8ClampedArray<ArrayBuffer>;
  int16: Int16Array<ArrayBuffer>;
  uint16: Uint16Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  uint32: Uint32Array<ArrayBuffer>;
  bigint64: BigInt64Array<ArrayBuffer>;
  biguint64: BigUint64Array<ArrayBuffer>;
  /** A Float16Array, where the runtime has it: Node 24 and later. */
  float16: ArrayBufferView<ArrayBuffer>;
  float32: Float32Array<ArrayBuffer>;
  float64: Float64Array<ArrayBuffer>;
  dataview: DataView<ArrayBuffer>;
  buffer: NodeBuffer;
}

/** `bytes` is what nobody gave a type. The rest are JavaScript's arrays without "Array". */
export type ElementType = keyof ElementArrays;

/** An array to be made: its elements, and how many of them along each axis, the outermost first. */
export interface ArraySpec {
  readonly type: ElementType;
  readonly shape: number | readonly number[];
}

/** Elements of an object, as a store keeps them. */
export interface Elements {
  readonly type: ElementType;
  /** Row-major, as numpy's default; empty where nobody gave one: bytes, DataViews and Buffers. */
  readonly shape: readonly number[];
}

const maxDimensions = 8;

/** The place of a type is its code in a store's table: new ones go to the end. */
const elementTypes: readonly (readonly [ElementType, elementBytes: number])[] = [
  ['bytes', 1],
  ['int8', 1],
  ['uint8', 1],
  ['uint8clamped', 1],
  ['int16', 2],
  ['uint16', 2],
  ['int32', 4],
  ['uint32', 4],
  ['bigint64', 8],
  ['biguint64', 8],
  ['float16', 2],
  ['float32', 4],
  ['float64', 8],
  ['dataview', 1],
  ['buffer', 1],
];
const codes = new Map(elementTypes.map(([type], code) => [type, code]));

export const plainBytes: NativeElements = { elementType: 0, elementBytes: 1, shape: [] };

type ArrayMaker = (buffer: ArrayBuffer) => ArrayBufferView;

/** Content of a view at the time of a call. */
export interface ViewContent {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of bytes at that time: a later transfer makes `bytes` empty. */
  readonly sizeBytes: number;
  readonly elements: NativeElements;
}

/**
 * Returns the bytes and elements of a view. A given `shape` must have as many elements.
 * @throws MemdriftError ERR_INVALID; ERR_STATE when its buffer was transferred.
 */
export function contentOf(
  view: ArrayBufferView,
  shape: number | readonly number[] | undefined,
): ViewContent {
  if (!ArrayBuffer.isView(view)) {
    throw new MemdriftError(
      'ERR_INVALID',
      `${String(view)} cannot be put: a typed array, a DataView or a Buffer can`,
    );
  }
  const type = typeOf(view);
  const elementBytes = elementTypes[codeOf(type)]?.[1] ?? 1;
  const bytes = bytesOf(view);
  const sizeBytes = bytes.length;
  const length = sizeBytes / elementBytes;
  const isPlain = type === 'dataview' || type === 'buffer';
  const given = shape ?? (isPlain ? [] : length);
  const elements = nativeElements({ type, shape: given });
  const wanted = elements.shape.reduce((product, along) => product * along, 1);
  if (elements.shape.length === 0 || wanted === length) return { bytes, sizeBytes, elements };
  throw new MemdriftError(
    'ERR_INVALID',
    `a shape of [${elements.shape.join(', ')}] has ${wanted} elements, the ${type} array has ` +
      `${length}; give the shape that it has`,
    { shape: elements.shape, length },
  );
}

/** The elements and the bytes of an array to be made. @throws MemdriftError ERR_INVALID */
export function elementsOfSpec(spec: ArraySpec): NativeElements & { readonly sizeBytes: number } {
  const elements = nativeElements(spec);
  const { elementBytes, shape } = elements;
  const sizeBytes = shape.reduce((bytes, along) => bytes * along, elementBytes);
  if (shape.length > 0 && Number.isSafeInteger(sizeBytes)) return { ...elements, sizeBytes };
  throw new MemdriftError(
    'ERR_INVALID',
    `an array of shape [${shape.join(', ')}] cannot be made: give one to ${maxDimensions} ` +
      'lengths whose product a number can hold',
    { shape },
  );
}

/** What the table says, in words. A code that this version does not know is bytes to it. */
export function elementsFrom(native: NativeElements): Elements {
  const known = elementTypes[native.elementType];
  const isKnown = known !== undefined && known[1] === native.elementBytes;
  return isKnown ? { type: known[0], shape: native.shape } : { type: 'bytes', shape: [] };
}

/** A view of all of `buffer`. @throws MemdriftError ERR_UNSUPPORTED for float16 before Node 24. */
export function arrayOver<T extends ElementType>(type: T, buffer: ArrayBuffer): ElementArrays[T] {
  return makerOf(type)(buffer) as unknown as ElementArrays[T];
}

/** `float32 [1000, 1000]`; the type alone where there is no shape. */
export function elementsText({ type, shape }: Elements): string {
  return shape.length === 0 ? type : `${type} [${shape.join(', ')}]`;
}

function typeOf(view: ArrayBufferView): ElementType {
  if (Buffer.isBuffer(view)) return 'buffer';
  const name = typedArrayName(view) ?? 'DataView';
  const type = name.replace(/Array$/, '').toLowerCase() as ElementType;
  // An array that a later JavaScript brings is its bytes.
  return codes.has(type) ? type : 'bytes';
}

function codeOf(type: ElementType): number {
  const code = codes.get(type);
  if (code !== undefined) return code;
  throw new MemdriftError(
    'ERR_INVALID',
    `${String(type)} is no element type: ${[...codes.keys()].join(', ')} are`,
    { type },
  );
}

function nativeElements({ type, shape }: ArraySpec): NativeElements {
  const elementType = codeOf(type);
  const lengths = Array.isArray(shape) ? [...shape] : [shape];
  const isShape = lengths.every((along) => Number.isSafeInteger(along) && along >= 0);
  if (isShape && lengths.length <= maxDimensions) {
    return { elementType, elementBytes: elementTypes[elementType]?.[1] ?? 1, shape: lengths };
  }
  throw new MemdriftError(
    'ERR_INVALID',
    `[${lengths.join(', ')}] is no shape: at most ${maxDimensions} whole numbers from 0 up are`,
    { shape: lengths },
  );
}

function makerOf(type: ElementType): ArrayMaker {
  if (type === 'bytes') return (buffer) => new Uint8Array(buffer);
  if (type === 'dataview') return (buffer) => new DataView(buffer);
  if (type === 'buffer') return (buffer) => Buffer.from(buffer);
  const name = arrayNames[type];
  const Maker = (globalThis as unknown as Record<string, unknown>)[name];
  if (typeof Maker !== 'function') {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `Node ${process.version} has no ${name}; read the object's bytes, or use a later Node`,
      { type },
    );
  }
  const TypedArray = Maker as new (buffer: ArrayBuffer) => ArrayBufferView;
  return (buffer) => new TypedArray(buffer);
}

const arrayNames: Record<Exclude<ElementType, 'bytes' | 'dataview' | 'buffer'>, string> = {
  int8: 'Int8Array',
  uint8: 'Uint8Array',
  uint8clamped: 'Uint8ClampedArray',
  int16: 'Int16Array',
  uint16: 'Uint16Array',
  int32: 'Int32Array',
  uint32: 'Uint32Array',
  bigint64: 'BigInt64Array',
  biguint64: 'BigUint64Array',
  float16: 'Float16Array',
  float32: 'Float32Array',
  float64: 'Float64Array',
};
