// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** Arrays in shared memory: made in place by one process, read by others without a copy. */
import { binding } from '../binding.ts';
import type {
  NativeCreateRequest,
  NativeElements,
  NativeHolder,
  NativeObjectInfo,
  NativeStoreStats,
  StoreHandle,
} from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { checkBufferSize, checkId, checkName, checkSize, checkTimeout } from './arguments.ts';
import { callSite } from './call_site.ts';
import { Channel, type ChannelOptions } from './channel.ts';
import { ChannelStore } from './channel_store.ts';
import {
  type ArraySpec,
  contentOf,
  type ElementType,
  elementsFrom,
  elementsOfSpec,
  plainBytes,
} from './elements.ts';
import { FreeRoomWatch } from './free_room.ts';
import { inspectCustom, sizeText } from './inspect_text.ts';
import { type RoomOptions, whenRoom } from './room_wait.ts';
import { StoreObject, StoreProducer, sealHeld } from './store_object.ts';

export interface AttachOptions {
  /**
   * Give up this process's page-table entries at seal and release, so that its RSS falls while the
   * store's pages stay warm. Costs about 20 ms per 100 MB that is made and read.
   */
  readonly trim?: boolean;
  /** Only look: list() and stats() work, nothing else does, and nobody sees a client. */
  readonly readOnly?: boolean;
  /** How people see this client in `memdrift store ls`; at most 39 bytes. */
  readonly label?: string;
  /**
   * Map each object by itself instead of the whole arena: for a small address space. It is done in
   * any case where the kernel refuses the whole (RLIMIT_AS, vm.overcommit_memory=2). get() and
   * release() then take longer, by the page-table entries of the object.
   */
  readonly mapEach?: boolean;
  /**
   * Free room whose pages are kept warm, in bytes, or as much as is live if that is more; what is
   * beyond for a second, after a release or delete of this client, is given back to the system.
   * Default 64 MiB.
   */
  readonly keepBytes?: number;
}

export interface StoreOptions extends AttachOptions {
  readonly name: string;
  readonly capacityBytes: number;
  /**
   * `lowest` uses the lowest place that fits, which is warm. `rotate` moves on through three times
   * the live bytes and gives nothing back, as allocators do that do not think of RSS.
   */
  readonly placement?: 'lowest' | 'rotate';
  /** Keep the source line that made each object. */
  readonly sites?: boolean;
  /**
   * Where a new object has no room, delete the oldest sealed objects that nobody holds, as few as
   * make room: a cache. Who gets one afterwards is told ERR_GONE. Default false: nothing is ever
   * deleted but by delete().
   */
  readonly evict?: boolean;
}

export interface PutOptions extends RoomOptions {
  /** Elements along each axis, row-major; default all along one. Kept with the object. */
  readonly shape?: number | readonly number[];
}

export interface GetOptions {
  /**
   * Make the page-table entries for the whole object first, on the pool, so that reading all of it
   * takes no page faults: for what is read as a whole. Below 4 MiB it is left to faults, which take
   * less. Default false: get() takes microseconds.
   */
  readonly populate?: boolean;
}

export type StoreHolder = NativeHolder;

/** One object as `memdrift store ls` shows it. */
export interface StoreObjectInfo extends Omit<NativeObjectInfo, 'elements'> {
  readonly ageMs: number;
  readonly elementType: ElementType;
  readonly shape: readonly number[];
}

export type StoreStats = NativeStoreStats & {
  /** How this process maps what it gets: see AttachOptions.mapEach. */
  readonly consumerViews: 'mapped' | 'mapped-each';
};

const defaultKeepBytes = 64 * 2 ** 20;
/** Below, the faults take less than the way to the pool and back. */
const populateFromBytes = 4 * 2 ** 20;

/**
 * An attachment to a store. A store lives as long as somebody is attached to it.
 *
 * Calls that end at once are synchronous. Those that return a promise work on libuv's pool where
 * they take long: allocating pages, copying bytes. An object id is a safe integer that any process
 * of this user may use; ids are never used again.
 */
export class Store {
  readonly name: string;
  /** The segment's file, for the Sampler's `segments`. */
  readonly path: string;
  /** Whether `process.memoryUsage().external` has this store's views in it: no heap memory. */
  readonly viewsAreExternal: boolean;
  #handle: StoreHandle | null;
  readonly #withSites: boolean;
  readonly #consumerViews: 'mapped' | 'mapped-each';
  readonly #freeRoom: FreeRoomWatch | null;
  #channels: ChannelStore<StoreObject> | null = null;

  private constructor(handle: StoreHandle, options: AttachOptions) {
    this.#handle = handle;
    const info = binding().storeInfo(handle);
    this.name = info.name;
    this.path = info.path;
    this.viewsAreExternal = info.viewsAreExternal;
    this.#withSites = info.sites;
    this.#consumerViews = info.consumerViews;
    const givesBack = !options.readOnly && binding().storeStats(handle).placement === 'lowest';
    this.#freeRoom = givesBack ? this.#freeRoomWatch(options.keepBytes) : null;
  }

  /**
   * Makes a store and attaches to it. Its pages are allocated when objects need them.
   * @throws MemdriftError ERR_INVALID, ERR_EXISTS, ERR_FULL when `capacityBytes` is more than
   * /dev/shm or the memory has.
   */
  static async create(options: StoreOptions): Promise<Store> {
    checkName('store', options.name);
    checkSize('capacityBytes', options.capacityBytes, 1);
    const placement = options.placement ?? 'lowest';
    if (placement !== 'lowest' && placement !== 'rotate') {
      throw new MemdriftError(
        'ERR_INVALID',
        `placement is '${String(placement)}': 'lowest' or 'rotate' is needed`,
      );
    }
    const handle = await binding().storeCreate({
      ...attachOptions(options.name, { ...options, readOnly: false }),
      capacityBytes: options.capacityBytes,
      placement,
      sites: options.sites ?? false,
      evict: options.evict ?? false,
    });
    return attachedBy(handle, () => new Store(handle, options));
  }

  /**
   * Attaches to an existing store.
   * @throws MemdriftError ERR_GONE, ERR_DENIED (another user's), ERR_MALFORMED (no store),
   * ERR_CORRUPT, ERR_FULL (1,024 clients are attached).
   */
  static async open(name: string, options: AttachOptions = {}): Promise<Store> {
    checkName('store', name);
    const handle = await binding().storeOpen(attachOptions(name, options));
    return attachedBy(handle, () => new Store(handle, options));
  }

  /**
   * Room for an object of so many bytes, or for an array such as `{ type: 'float32', shape: [480,
   * 640] }`, to be filled in place and sealed. Synchronous: where the place has no pages yet they
   * are allocated now, 0.3 ms per MB, and who has the store's lock is waited for, 100 ms at the
   * most; createAsync does both elsewhere. A full store is not waited for.
   * @throws MemdriftError ERR_INVALID, ERR_FULL, ERR_TOO_LARGE, ERR_BUSY, ERR_CLOSED.
   */
  create(what: number | ArraySpec): StoreProducer {
    const request = this.#request(what);
    const made = binding().storeReserve(this.#open(), request);
    return new StoreProducer(this.#open(), { ...made, elements: request });
  }

  /** As create(), with pages allocated and mapped by the pool, so that filling takes no faults. */
  async createAsync(what: number | ArraySpec, options: RoomOptions = {}): Promise<StoreProducer> {
    const request = this.#request(what);
    checkTimeout(options.timeoutMs ?? 0);
    const handle = this.#open();
    const made = await whenRoom(() => binding().storeReserveAsync(this.#open(), request), options);
    return new StoreProducer(handle, { ...made, elements: request });
  }

  /**
   * Copies `view` into a new sealed object, on the pool at the speed of memcpy; resolves with its
   * id. Keeps its element type and shape. Up to 64 KiB are copied within the call, unless another
   * process has the store's lock.
   *
   * The program may use the buffer meanwhile. The object gets the bytes of the call even when the
   * buffer is transferred or dropped, or its store or segment closed. Bytes that are written before
   * the promise resolves may be in the object or not. A buffer that is resized to less than the
   * view is ERR_STATE, as is one that was transferred while put() waited for room; no object is
   * made then. A view of a resizable buffer takes 1.6 times as long.
   * @throws MemdriftError as create(), ERR_STATE, and the reason of `signal`.
   */
  async put(view: ArrayBufferView, options: PutOptions = {}): Promise<number> {
    const { bytes, sizeBytes, elements } = contentOf(view, options.shape);
    const request = this.#requestOf(sizeBytes, elements);
    checkTimeout(options.timeoutMs ?? 0);
    return whenRoom(async () => binding().storePut(this.#open(), bytes, request), options);
  }

  /**
   * A reference to a sealed object and a view of its bytes, without a copy, whatever the size. A
   * write to the view is a copy of the page for this process alone. Done in microseconds: the
   * promise is resolved already, unless `populate` is asked for.
   * @throws MemdriftError ERR_GONE, ERR_STATE (not sealed yet), ERR_CLOSED, ERR_CORRUPT.
   */
  async get(id: number, options: GetOptions = {}): Promise<StoreObject> {
    checkId(id);
    const handle = this.#open();
    const object = this.#objectOf(handle, id, binding().storeGet(handle, id));
    const isWorthIt = object.bytes.length >= populateFromBytes;
    if (options.populate === true && isWorthIt) await binding().storePopulate(handle, id);
    return object;
  }

  /**
   * Makes the object gone for new readers; its room is free when the last reference is released.
   * Anybody who is attached may delete. @throws MemdriftError ERR_GONE, ERR_STATE (not sealed yet).
   */
  delete(id: number): void {
    checkId(id);
    binding().storeDelete(this.#open(), id);
    this.#onFreed();
  }

  /**
   * An end of the channel of that name, through which objects go between those who are attached to
   * this store. Costs nothing until its first use. @throws MemdriftError ERR_INVALID, ERR_CLOSED.
   */
  channel(name: string, options: ChannelOptions = {}): Channel<StoreObject> {
    this.#open();
    this.#channels ??= this.#forChannels();
    return new Channel(this.#channels, name, options);
  }

  /**
   * The objects that take room, by slot. One system call per client that is asked after.
   * @throws MemdriftError ERR_TOO_LARGE where they are held a million times in all, ERR_CORRUPT.
   */
  list(): StoreObjectInfo[] {
    const now = Date.now();
    return binding()
      .storeList(this.#open())
      .map(({ elements, ...info }) => {
        const { type, shape } = elementsFrom(elements);
        return { ...info, elementType: type, shape, ageMs: Math.max(0, now - info.createdAtMs) };
      });
  }

  /** Sums over the objects, and the pages that the segment's file really has. */
  stats(): StoreStats {
    return { ...binding().storeStats(this.#open()), consumerViews: this.#consumerViews };
  }

  /**
   * Gives pages of free room back to the system until at most `keepBytes` of it have pages;
   * resolves with the bytes given. Runs on the pool, 0.2 ms per MB. It happens by itself past
   * AttachOptions.keepBytes. @throws MemdriftError ERR_BUSY, ERR_CLOSED, ERR_STATE (read-only).
   */
  async giveBack(keepBytes = 0): Promise<number> {
    checkSize('keepBytes', keepBytes, 0);
    return binding().storeGiveBack(this.#open(), keepBytes);
  }

  /**
   * Detaches: every view of this store gets length 0, references and unsealed objects are given up,
   * channels end with ERR_CLOSED.
   * May be called again. The last one out removes the store, once a put() or giveBack() that is
   * under way has ended; a createAsync() rejects with ERR_CLOSED. Do not call it while a thread of
   * the pool, for fs or crypto say, works on a view.
   */
  close(): void {
    this.#freeRoom?.end();
    this.#channels?.close();
    if (this.#handle !== null) binding().storeClose(this.#handle);
    this.#handle = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [inspectCustom](): string {
    const now = this.#statsOrNull();
    if (now === null) return `Store '${this.name}' { ${this.#handle ? 'damaged' : 'closed'} }`;
    const sizes =
      `${sizeText(now.liveBytes)} live of ${sizeText(now.capacityBytes)}, ` +
      `${sizeText(now.residentBytes)} resident`;
    const { objects, clients } = now;
    const who = `${clients} ${clients === 1 ? 'client' : 'clients'}`;
    const what = `${objects} ${objects === 1 ? 'object' : 'objects'}`;
    return `Store '${this.name}' { ${what}, ${sizes}, ${who} }`;
  }

  #open(): StoreHandle {
    if (this.#handle !== null) return this.#handle;
    throw new MemdriftError(
      'ERR_CLOSED',
      `store ${this.name} was closed; open it again with Store.open`,
      { name: this.name },
    );
  }

  #request(what: number | ArraySpec): NativeCreateRequest {
    if (typeof what !== 'object' || what === null) return this.#requestOf(what, plainBytes);
    const { sizeBytes, ...elements } = elementsOfSpec(what);
    return this.#requestOf(sizeBytes, elements);
  }

  #requestOf(sizeBytes: number, elements: NativeElements): NativeCreateRequest {
    checkSize('sizeBytes', sizeBytes, 0);
    checkBufferSize('the object', sizeBytes);
    const site = this.#withSites ? callSite(import.meta.url) : '';
    return { ...elements, sizeBytes, site };
  }

  #objectOf(handle: StoreHandle, id: number, buffer: ArrayBuffer): StoreObject {
    return new StoreObject(handle, { id, buffer, onRelease: () => this.#onFreed() });
  }

  #forChannels(): ChannelStore<StoreObject> {
    const handle = this.#open();
    return new ChannelStore(handle, {
      withSites: this.#withSites,
      isProducer: (data) => data instanceof StoreProducer,
      sealHeld: (data) => sealHeld(data as StoreProducer),
      objectOf: (id, buffer) => this.#objectOf(handle, id, buffer),
    });
  }

  #onFreed(): void {
    if (this.#handle !== null) this.#freeRoom?.onFreed();
  }

  #freeRoomWatch(keepBytes = defaultKeepBytes): FreeRoomWatch {
    return new FreeRoomWatch(keepBytes, {
      look: () => this.#statsOrNull(),
      // Somebody else may be at it, or the store was closed: the pages are then not ours to give.
      giveBack: (bytes) => {
        this.giveBack(bytes).catch(() => {});
      },
    });
  }

  /** A table that something damaged must not end the program from a timer or a log. */
  #statsOrNull(): StoreStats | null {
    try {
      return this.stats();
    } catch {
      return null;
    }
  }
}

/** An attachment to a store whose table is damaged does not stay until it is collected. */
function attachedBy(handle: StoreHandle, make: () => Store): Store {
  try {
    return make();
  } catch (error) {
    binding().storeClose(handle);
    throw error;
  }
}

function attachOptions(name: string, options: AttachOptions) {
  const { trim = false, readOnly = false, label = '', mapEach = false } = options;
  return { name, trim, readOnly, label, mapEach };
}
