// For consumers whose own `lib` does not have Symbol.dispose yet.
/// <reference lib="esnext.disposable" preserve="true" />
/** Arrays in shared memory: made in place by one process, read by others without a copy. */
import { binding } from '../binding.ts';
import type { NativeHolder, NativeObjectInfo, NativeStoreStats, StoreHandle } from '../door.ts';
import { MemdriftError } from '../errors.ts';
import { checkBufferSize, checkName, checkSize } from './arguments.ts';
import { callSite } from './call_site.ts';

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
}

export type StoreHolder = NativeHolder;

/** One object as `memdrift store ls` shows it. */
export interface StoreObjectInfo extends NativeObjectInfo {
  readonly ageMs: number;
}

export type StoreStats = NativeStoreStats & {
  /** How this process maps what it gets: see AttachOptions.mapEach. */
  readonly consumerViews: 'mapped' | 'mapped-each';
};

const defaultKeepBytes = 64 * 2 ** 20;
/** The limit must be passed at so many looks in a row, which is a second. */
const giveBackLooks = 4;
const giveBackLookMs = 250;

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
  readonly #keepBytes: number | null;
  #giveBackTimer: NodeJS.Timeout | null = null;
  #freedSinceLook = false;
  #looksOverLimit = 0;

  private constructor(handle: StoreHandle, options: AttachOptions) {
    this.#handle = handle;
    const info = binding().storeInfo(handle);
    this.name = info.name;
    this.path = info.path;
    this.viewsAreExternal = info.viewsAreExternal;
    this.#withSites = info.sites;
    this.#consumerViews = info.consumerViews;
    const givesBack = !options.readOnly && binding().storeStats(handle).placement === 'lowest';
    this.#keepBytes = givesBack ? (options.keepBytes ?? defaultKeepBytes) : null;
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
    });
    return new Store(handle, options);
  }

  /**
   * Attaches to an existing store.
   * @throws MemdriftError ERR_GONE, ERR_DENIED (another user's), ERR_MALFORMED (no store),
   * ERR_CORRUPT, ERR_FULL (1,024 clients are attached).
   */
  static async open(name: string, options: AttachOptions = {}): Promise<Store> {
    checkName('store', name);
    const handle = await binding().storeOpen(attachOptions(name, options));
    return new Store(handle, options);
  }

  /**
   * Room for an object of `sizeBytes`, to be filled in place and sealed. Synchronous: where the
   * place has no pages yet they are allocated now, 0.3 ms per MB; createAsync does it elsewhere.
   * @throws MemdriftError ERR_FULL, ERR_TOO_LARGE, ERR_BUSY, ERR_CLOSED.
   */
  create(sizeBytes: number): StoreProducer {
    this.#checkObjectSize(sizeBytes);
    const made = binding().storeReserve(this.#open(), sizeBytes, this.#site());
    return new StoreProducer(this.#open(), made);
  }

  /** As create(), with pages allocated and mapped by the pool, so that filling takes no faults. */
  async createAsync(sizeBytes: number): Promise<StoreProducer> {
    this.#checkObjectSize(sizeBytes);
    const handle = this.#open();
    const made = await binding().storeReserveAsync(handle, sizeBytes, this.#site());
    return new StoreProducer(handle, made);
  }

  /**
   * Copies `view` into a new sealed object, on the pool at the speed of memcpy; resolves with its
   * id. `view` must not change until then. @throws as create().
   */
  async put(view: ArrayBufferView): Promise<number> {
    this.#checkObjectSize(view.byteLength);
    const bytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
    return binding().storePut(this.#open(), bytes, this.#site());
  }

  /**
   * A reference to a sealed object and a view of its bytes, without a copy, whatever the size. A
   * write to the view is a copy of the page for this process alone. Done in microseconds: the
   * promise is resolved already.
   * @throws MemdriftError ERR_GONE, ERR_STATE (not sealed yet), ERR_CLOSED, ERR_CORRUPT.
   */
  async get(id: number): Promise<StoreObject> {
    checkId(id);
    const handle = this.#open();
    return new StoreObject(handle, {
      id,
      buffer: binding().storeGet(handle, id),
      onRelease: () => this.#watchFreeRoom(),
    });
  }

  /**
   * Makes the object gone for new readers; its room is free when the last reference is released.
   * Anybody who is attached may delete. @throws MemdriftError ERR_GONE, ERR_STATE (not sealed yet).
   */
  delete(id: number): void {
    checkId(id);
    binding().storeDelete(this.#open(), id);
    this.#watchFreeRoom();
  }

  /** The objects that take room, by slot. One system call per client that is asked after. */
  list(): StoreObjectInfo[] {
    const now = Date.now();
    return binding()
      .storeList(this.#open())
      .map((info) => ({ ...info, ageMs: Math.max(0, now - info.createdAtMs) }));
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
   * Detaches: every view of this store gets length 0, references and unsealed objects are given up.
   * May be called again. The last one out removes the store. Do not call it while a pool thread, of
   * fs or crypto say, works on a view.
   */
  close(): void {
    this.#endGiveBackLooks();
    if (this.#handle !== null) binding().storeClose(this.#handle);
    this.#handle = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): StoreHandle {
    if (this.#handle !== null) return this.#handle;
    throw new MemdriftError(
      'ERR_CLOSED',
      `store ${this.name} was closed; open it again with Store.open`,
      { name: this.name },
    );
  }

  #site(): string {
    return this.#withSites ? callSite(import.meta.url) : '';
  }

  #checkObjectSize(sizeBytes: number): void {
    checkSize('sizeBytes', sizeBytes, 0);
    checkBufferSize('the object', sizeBytes);
  }

  /** Room became free: looks at the limit from now on, until nothing happens any more. */
  #watchFreeRoom(): void {
    this.#freedSinceLook = true;
    if (this.#keepBytes === null || this.#handle === null || this.#giveBackTimer !== null) return;
    this.#giveBackTimer = setInterval(() => this.#lookAtFreeRoom(), giveBackLookMs).unref();
  }

  #lookAtFreeRoom(): void {
    const now = this.#statsOrNull();
    if (now === null) {
      this.#endGiveBackLooks();
      return;
    }
    const { residentBytes, arenaBytes } = now;
    const keepBytes = Math.max(this.#keepBytes ?? 0, arenaBytes);
    const isOver = residentBytes - arenaBytes > keepBytes;
    this.#looksOverLimit = isOver ? this.#looksOverLimit + 1 : 0;
    if (!isOver && !this.#freedSinceLook) this.#endGiveBackLooks();
    this.#freedSinceLook = false;
    if (this.#looksOverLimit < giveBackLooks) return;
    this.#endGiveBackLooks();
    // Somebody else may be at it, or the store was closed: the pages are then not ours to give.
    this.giveBack(keepBytes).catch(() => {});
  }

  /** A table that something damaged must not end the program from within a timer. */
  #statsOrNull(): StoreStats | null {
    try {
      return this.stats();
    } catch {
      return null;
    }
  }

  #endGiveBackLooks(): void {
    if (this.#giveBackTimer !== null) clearInterval(this.#giveBackTimer);
    this.#giveBackTimer = null;
    this.#looksOverLimit = 0;
  }
}

/** An object that this process fills. Seal it, or abort it; dropped, it is aborted some time. */
export class StoreProducer {
  readonly id: number;
  readonly #handle: StoreHandle;
  readonly #sizeBytes: number;
  #bytes: Uint8Array | null;

  constructor(handle: StoreHandle, made: { id: number; buffer: ArrayBuffer }) {
    this.#handle = handle;
    this.id = made.id;
    this.#bytes = new Uint8Array(made.buffer);
    this.#sizeBytes = this.#bytes.length;
  }

  /**
   * The arena's own memory, with what was there before in it. A view that was taken out has length
   * 0 after seal(), abort() and the store's close().
   * @throws MemdriftError ERR_STATE after seal() and abort(), ERR_CLOSED after the store's close().
   */
  get bytes(): Uint8Array {
    if (this.#bytes === null) return ended(this.id, 'sealed or aborted already', 'ERR_STATE');
    return attached(this.#bytes, this.#sizeBytes, this.id);
  }

  /**
   * From now on anybody can get it and nobody can change it.
   * @throws MemdriftError ERR_STATE when it was sealed or aborted, ERR_CLOSED.
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
}

/** A reference to a sealed object. Release it: the garbage collector is only the backstop. */
export class StoreObject {
  readonly id: number;
  readonly #handle: StoreHandle;
  readonly #onRelease: () => void;
  readonly #sizeBytes: number;
  #bytes: Uint8Array | null;

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
   * taken out has length 0 after the last of them is released, and after the store's close().
   * @throws MemdriftError ERR_CLOSED after release(), and after the store's close().
   */
  get bytes(): Uint8Array {
    if (this.#bytes === null) return ended(this.id, 'released already: get it again', 'ERR_CLOSED');
    return attached(this.#bytes, this.#sizeBytes, this.id);
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
}

/** The view, unless close() has detached it. */
function attached(bytes: Uint8Array, sizeBytes: number, id: number): Uint8Array {
  if (bytes.length === sizeBytes) return bytes;
  return ended(id, "detached by its store's close()", 'ERR_CLOSED');
}

function ended(id: number, how: string, code: 'ERR_STATE' | 'ERR_CLOSED'): never {
  throw new MemdriftError(code, `object ${id} was ${how}`, { id });
}

function attachOptions(name: string, options: AttachOptions) {
  const { trim = false, readOnly = false, label = '', mapEach = false } = options;
  return { name, trim, readOnly, label, mapEach };
}

function checkId(id: unknown): void {
  if (Number.isSafeInteger(id) && (id as number) >= 0) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `${String(id)} is no object id: ids are whole numbers that create(), put() or list() gave`,
    { id },
  );
}
