import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { arrayOver, contentOf, elementsFrom, elementsOfSpec } from '../../src/shm/elements.ts';
import { Store } from '../../src/shm/store.ts';
import { answering, freshName, OtherProcess } from './processes.ts';

const errorWith = (code: string) => expect.objectContaining({ code }) as Error;

function makeStore(): Promise<Store> {
  return Store.create({ name: freshName('elements'), capacityBytes: 1_000_000 });
}

class Samples extends Float32Array {}

const arrays: readonly (readonly [string, ArrayBufferView])[] = [
  ['int8', Int8Array.of(-1, 2)],
  ['uint8', Uint8Array.of(1, 255)],
  ['uint8clamped', Uint8ClampedArray.of(1, 255)],
  ['int16', Int16Array.of(-1, 30_000)],
  ['uint16', Uint16Array.of(1, 60_000)],
  ['int32', Int32Array.of(-1, 2 ** 30)],
  ['uint32', Uint32Array.of(1, 2 ** 31)],
  ['bigint64', BigInt64Array.of(-1n, 2n ** 62n)],
  ['biguint64', BigUint64Array.of(1n, 2n ** 63n)],
  ['float32', Float32Array.of(0.5, -0)],
  ['float64', Float64Array.of(Math.PI, Number.MIN_VALUE)],
  ['dataview', new DataView(Uint8Array.of(9, 8, 7, 6).buffer, 1, 2)],
  ['buffer', Buffer.from('ab')],
];

describe('what is put', () => {
  it.each(arrays)('is what a consumer in another process gets back: %s', async (type, array) => {
    using store = await makeStore();
    const id = await store.put(array);
    using object = await store.get(id);
    expect(object.elementType).toBe(type);
    expect(object.array.constructor).toBe(array.constructor);
    expect(object.array).toStrictEqual(array);
    const other = new OtherProcess(answering);
    await other.ask(`s = await m.Store.open('${store.name}')`);
    const name = array.constructor.name;
    expect(await other.ask(`(view = await s.get(${id})).array.constructor.name`)).toBe(name);
    expect(await other.ask(`Buffer.from(view.bytes).toString('hex')`)).toBe(
      Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex'),
    );
    other.child.stdin?.end();
    await other.ended();
  });

  it('keeps its shape, which must be that of its length', async () => {
    using store = await makeStore();
    const id = await store.put(new Float32Array(24).fill(2), { shape: [2, 3, 4] });
    using object = await store.get(id);
    expect(object.shape).toEqual([2, 3, 4]);
    expect(object.as('float32')[23]).toBe(2);
    expect(store.list()[0]).toMatchObject({ elementType: 'float32', shape: [2, 3, 4] });
    await expect(store.put(new Float32Array(24), { shape: [5, 5] })).rejects.toThrow(
      /\[5, 5\] has 25 elements, the float32 array has 24/,
    );
    for (const shape of [-1, 1.5, Number.NaN, [2, -12], [1, 1, 1, 1, 1, 1, 1, 1, 24]]) {
      const put = store.put(new Float32Array(24), { shape });
      await expect(put).rejects.toThrow(errorWith('ERR_INVALID'));
    }
    expect(store.stats().objects).toBe(1);
  });

  it('is of the type that its class comes from, and of one axis by default', async () => {
    using store = await makeStore();
    using object = await store.get(await store.put(new Samples(3)));
    expect(object.elementType).toBe('float32');
    expect(object.shape).toEqual([3]);
    using empty = await store.get(await store.put(new Float64Array(0)));
    expect(empty.array).toStrictEqual(new Float64Array(0));
    expect(empty.shape).toEqual([0]);
  });

  it('is refused when it is no view', async () => {
    using store = await makeStore();
    for (const view of [null, undefined, 'text', 7, {}, new ArrayBuffer(4)]) {
      const put = store.put(view as unknown as Uint8Array);
      await expect(put).rejects.toThrow(errorWith('ERR_INVALID'));
    }
    expect(store.stats().objects).toBe(0);
  });

  it('is not given as another type', async () => {
    using store = await makeStore();
    using object = await store.get(await store.put(Int32Array.of(1)));
    expect(() => object.as('float32')).toThrow(/has elements of type int32, not float32/);
    object.release();
    expect(() => object.array).toThrow(errorWith('ERR_CLOSED'));
  });
});

describe('an array that is made in place', () => {
  it('has the room, type and shape that were asked for', async () => {
    using store = await makeStore();
    for (const make of [store.create.bind(store), store.createAsync.bind(store)]) {
      const room = await make({ type: 'uint16', shape: [10, 7] });
      expect(room.as('uint16').length).toBe(70);
      room.as('uint16').fill(500);
      expect(() => room.as('uint8')).toThrow(errorWith('ERR_INVALID'));
      room.seal();
      expect(() => room.array).toThrow(errorWith('ERR_STATE'));
      using object = await store.get(room.id);
      expect(object.shape).toEqual([10, 7]);
      expect(object.as('uint16').every((value) => value === 500)).toBe(true);
    }
  });

  it('is refused where the type is unknown or the shape is none', async () => {
    using store = await makeStore();
    const make = (type: string, shape: unknown) => () =>
      store.create({ type: type as 'int8', shape: shape as number[] });
    expect(make('float31', 4)).toThrow(/float31 is no element type: bytes, int8, /);
    for (const shape of [[], [-1], ['4'], [2 ** 40, 2 ** 40], undefined, null, 'abc', {}]) {
      expect(make('float64', shape)).toThrow(errorWith('ERR_INVALID'));
    }
    expect(make('float64', [2 ** 20])).toThrow(errorWith('ERR_TOO_LARGE'));
    expect(store.stats().objects).toBe(0);
  });
});

describe('float16', () => {
  const hasFloat16 = 'Float16Array' in globalThis;

  it('is an array where the runtime has one, and its bytes and shape everywhere', async () => {
    using store = await makeStore();
    const room = store.create({ type: 'float16', shape: [2, 2] });
    new Uint16Array(room.bytes.buffer).fill(0x3c00);
    room.seal();
    using object = await store.get(room.id);
    expect(object.shape).toEqual([2, 2]);
    expect(object.bytes.length).toBe(8);
    if (hasFloat16) expect(Array.from(object.array as Uint16Array)).toEqual([1, 1, 1, 1]);
    else expect(() => object.array).toThrow(errorWith('ERR_UNSUPPORTED'));
  });
});

describe('what a table says', () => {
  it('is bytes where this version does not know the type', () => {
    const unknown = { elementType: 200, elementBytes: 4, shape: [2] };
    expect(elementsFrom(unknown)).toEqual({ type: 'bytes', shape: [] });
    const wrongSize = { elementType: 11, elementBytes: 8, shape: [2] };
    expect(elementsFrom(wrongSize)).toEqual({ type: 'bytes', shape: [] });
  });

  it('has the same code for a type whatever way it was given', () => {
    const { sizeBytes, ...made } = elementsOfSpec({ type: 'int16', shape: 3 });
    expect(sizeBytes).toBe(6);
    expect(contentOf(new Int16Array(3), undefined).elements).toEqual(made);
    expect(arrayOver('int16', new ArrayBuffer(6))).toStrictEqual(new Int16Array(3));
  });
});

describe('inspect', () => {
  it('says in a line what a store and its objects are', async () => {
    const store = await makeStore();
    const id = await store.put(new Float32Array(12), { shape: [3, 4] });
    const object = await store.get(id);
    const room = store.create(5);
    expect(inspect(object)).toBe(`StoreObject ${id} { float32 [3, 4], 48 bytes }`);
    expect(inspect(room)).toBe(`StoreProducer ${room.id} { bytes, 5 bytes }`);
    expect(inspect({ deep: [store] })).toMatch(
      /Store 'test-\S+' { 2 objects, 53 bytes live of 1.00 MB, \d+ bytes resident, 1 client }/,
    );
    object.release();
    room.abort();
    expect(inspect(object)).toBe(`StoreObject ${id} { 48 bytes, released }`);
    expect(inspect(room)).toMatch(/sealed or aborted }$/);
    store.close();
    expect(inspect(store)).toBe(`Store '${store.name}' { closed }`);
  });
});
