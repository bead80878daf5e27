/**
 * What native/door/ exports, as types only: `Binding` has one entry per function, and a test fails
 * when the addon has others. src/binding.ts loads it.
 *
 * Bulk data crosses as typed-array columns, native objects as opaque branded handles that only the
 * room that made them may keep.
 */
import type { DriftBinding } from './door_drift.ts';
import type { LaunchBinding } from './door_launch.ts';
import type { SamplerBinding } from './door_sampler.ts';
import type { CaptureBinding, TrackerBinding } from './door_tracker.ts';
import type { MemdriftError } from './errors.ts';

export interface Binding
  extends ProcBinding,
    SamplerBinding,
    ShmBinding,
    StoreBinding,
    ExperimentBinding,
    EntryBinding,
    DriftBinding,
    LaunchBinding,
    TrackerBinding,
    CaptureBinding {
  /** Hands the error class over, once per environment; before it, native errors are plain. */
  initialize(errorClass: typeof MemdriftError): void;
}

/** native/door/proc_door.cc. `pid` -1 is this process; with `offThread` a promise comes back. */
export interface ProcBinding {
  procRead<Source extends keyof ProcSources>(
    pid: number,
    source: Source,
    offThread: false,
  ): ProcSources[Source];
  procRead<Source extends keyof ProcSources>(
    pid: number,
    source: Source,
    offThread: true,
  ): Promise<ProcSources[Source]>;
  procParse<Text extends keyof ProcTexts>(
    bytes: Uint8Array,
    text: Text,
    pageSizeBytes?: number,
  ): ProcTexts[Text];
  /** Returns how many bytes of a memory file are in swap; NaN: unknown. */
  procSwapped(path: string): number;
}

export interface ProcSources {
  smaps: NativeSmaps;
  maps: NativeMappings;
  rollup: NativeRollup;
  counters: NativeCounters;
  residency: NativeResidency;
  heldFiles: NativeHeldFiles;
}

export interface ProcTexts {
  smaps: NativeSmaps;
  maps: NativeMappings;
  rollup: NativeRollup;
  status: NativeCounters;
  stat: NativeCounters;
  statm: NativeStatm;
}

/** Columns, an entry per mapping; `permissions`, `name` and `vmFlags` are indexes of `strings`. */
export interface NativeMappings {
  length: number;
  startAddress: Float64Array;
  endAddress: Float64Array;
  offsetBytes: Float64Array;
  deviceMajor: Uint32Array;
  deviceMinor: Uint32Array;
  inode: BigUint64Array;
  permissions: Uint32Array;
  name: Uint32Array;
  vmFlags: Uint32Array;
  deleted: Uint8Array;
  strings: string[];
}

export interface NativeSmaps extends NativeMappings {
  /** Only what the text reports, by the JavaScript names of native/proc/smaps_fields.h. */
  columns: Record<string, Float64Array>;
  unknownNames: string[];
  unknownColumns: Float64Array[];
}

/** `source`, and numbers (NaN: not reported) by the names of native/proc/smaps_fields.h. */
export interface NativeRollup {
  source: 'rollup' | 'smaps';
  ussBytes: number;
  [field: string]: number | string;
}

/** Numbers (NaN: not reported) by the names of native/proc/counters.h. */
export interface NativeCounters {
  pid: number;
  name: string;
  state: string;
  parentPid: number;
  signalsCaught?: bigint;
  [field: string]: number | string | bigint | undefined;
}

export interface NativeStatm {
  vmSizeBytes: number;
  rssBytes: number;
  sharedBytes: number;
  textBytes: number;
  libraryBytes: number;
  dataBytes: number;
  dirtyBytes: number;
}

export interface NativeResidency extends NativeMappings {
  source: 'pagemap' | 'smaps';
  reason: string;
  rssBytes: Float64Array;
  anonymousBytes: Float64Array;
  fileBytes: Float64Array;
  swapBytes: Float64Array;
}

export interface NativeHeldFiles {
  devices: { deviceMajor: number; deviceMinor: number; isHugetlb: boolean }[];
  /** One entry per descriptor. */
  files: {
    deviceMajor: number;
    deviceMinor: number;
    inode: bigint;
    descriptor: number;
    name: string;
    sizeBytes: number;
    allocatedBytes: number;
  }[];
}

declare const segmentBrand: unique symbol;
declare const flagBrand: unique symbol;
declare const storeBrand: unique symbol;

/** An attachment to a plain segment; opaque. */
export interface SegmentHandle {
  readonly [segmentBrand]: true;
}

/** An attachment to a flag; opaque. */
export interface FlagHandle {
  readonly [flagBrand]: true;
}

/** An attachment to a store; opaque. */
export interface StoreHandle {
  readonly [storeBrand]: true;
}

export interface NativeSegmentInfo {
  readonly name: string;
  readonly path: string;
  readonly kind: 'segment' | 'flag' | 'store';
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly residentBytes: number;
}

/** native/door/shm_door.cc */
export interface ShmBinding {
  segmentCreate(name: string, sizeBytes: number): SegmentHandle;
  segmentOpen(name: string): SegmentHandle;
  /** The same ArrayBuffer at every call while JavaScript holds it. */
  segmentBuffer(segment: SegmentHandle): ArrayBuffer;
  segmentInfo(segment: SegmentHandle): Omit<NativeSegmentInfo, 'kind' | 'inode'>;
  /** Detaches the buffer, unmaps, and unlinks if nobody else is attached. */
  segmentClose(segment: SegmentHandle): void;
  segmentUnlink(name: string): void;
  segmentSweep(): string[];
  segmentList(): NativeSegmentInfo[];
  flagCreate(name: string): FlagHandle;
  flagOpen(name: string): FlagHandle;
  flagPost(flag: FlagHandle): void;
  flagTryWait(flag: FlagHandle): boolean;
  /** Waits on the environment's waiter thread. */
  flagWait(flag: FlagHandle, timeoutMs: number): Promise<boolean>;
  flagClose(flag: FlagHandle): void;
}

export interface NativeHolder {
  readonly client: number;
  readonly pid: number;
  readonly label: string;
}

/** What bytes are: the code and the size of an element of src/shm/elements.ts, and how many. */
export interface NativeElements {
  readonly elementType: number;
  readonly elementBytes: number;
  /** Their product fills the object; empty for plain bytes. At most 8. */
  readonly shape: readonly number[];
}

export interface NativeCreateRequest extends NativeElements {
  readonly sizeBytes: number;
  readonly site: string;
}

export interface NativeObjectInfo {
  readonly id: number;
  readonly state: 'created' | 'sealed' | 'deleted';
  readonly sizeBytes: number;
  readonly extentBytes: number;
  readonly fileOffsetBytes: number;
  readonly createdAtMs: number;
  readonly creator: NativeHolder;
  readonly site: string;
  readonly elements: NativeElements;
  readonly holders: NativeHolder[];
}

export interface NativeStoreStats {
  readonly capacityBytes: number;
  readonly liveBytes: number;
  readonly arenaBytes: number;
  readonly residentBytes: number;
  readonly objects: number;
  readonly clients: number;
  readonly puts: number;
  readonly gets: number;
  readonly evictions: number;
  readonly evict: boolean;
  readonly placement: 'lowest' | 'rotate';
}

export interface NativeAttachOptions {
  readonly name: string;
  readonly trim: boolean;
  readonly readOnly: boolean;
  readonly label: string;
  readonly mapEach: boolean;
}

export interface NativeStoreOptions extends NativeAttachOptions {
  readonly capacityBytes: number;
  readonly placement: 'lowest' | 'rotate';
  readonly sites: boolean;
  readonly evict: boolean;
}

/**
 * `never`: no receiver has come yet. `closed` and `gone`: the last one has closed, or has ended
 * without closing. `makerClosed` and `makerGone`: no receiver has come, and the attachment that
 * made the store has closed, or has ended without closing.
 */
export type NativeReceiver = 'never' | 'alive' | 'closed' | 'gone' | 'makerClosed' | 'makerGone';

/** native/door/store_door.cc. The promises are settled by work on libuv's pool. */
export interface StoreBinding {
  storeCreate(options: NativeStoreOptions): Promise<StoreHandle>;
  storeOpen(options: NativeAttachOptions): Promise<StoreHandle>;
  storeReserve(
    store: StoreHandle,
    request: NativeCreateRequest,
  ): { id: number; buffer: ArrayBuffer };
  storeReserveAsync(
    store: StoreHandle,
    request: NativeCreateRequest,
  ): Promise<{ id: number; buffer: ArrayBuffer }>;
  /** Copies `bytes`, at once where they are few; otherwise they must stay attached until then. */
  storePut(
    store: StoreHandle,
    bytes: Uint8Array,
    request: NativeCreateRequest,
  ): number | Promise<number>;
  storeSeal(store: StoreHandle, id: number): void;
  storeAbort(store: StoreHandle, id: number): void;
  /** Counts: each call needs a storeRelease. */
  storeGet(store: StoreHandle, id: number): ArrayBuffer;
  /** Page-table entries for all of an object that was got. */
  storePopulate(store: StoreHandle, id: number): Promise<void>;
  /** What an object is that was got. */
  storeElements(store: StoreHandle, id: number): NativeElements;
  storeRelease(store: StoreHandle, id: number): void;
  storeDelete(store: StoreHandle, id: number): void;
  /** Copies `bytes` into an object that is deleted already, with a reference: see storeLetGo. */
  storePutHeld(
    store: StoreHandle,
    bytes: Uint8Array,
    request: NativeCreateRequest,
  ): number | Promise<number>;
  /** As storeSeal, but the object is deleted already, with a reference. */
  storeSealHeld(store: StoreHandle, id: number): void;
  /** As storeGet, also of what is deleted and held by somebody. */
  storeTake(store: StoreHandle, id: number): ArrayBuffer;
  storeTakeAsync(store: StoreHandle, id: number): Promise<ArrayBuffer>;
  /** A reference without a view; each call needs a storeLetGo. */
  storeHold(store: StoreHandle, id: number): void;
  storeLetGo(store: StoreHandle, id: number): void;
  /** False while another attachment is the channel's receiver. `key` has 48 bits. */
  storeClaimChannel(store: StoreHandle, key: number): boolean;
  storeDropChannel(store: StoreHandle, key: number): void;
  /** Returns the state of the channel's receiver. */
  storeReceiver(store: StoreHandle, key: number): NativeReceiver;
  storeList(store: StoreHandle): NativeObjectInfo[];
  storeStats(store: StoreHandle): NativeStoreStats;
  storeInfo(store: StoreHandle): {
    name: string;
    path: string;
    /** Which segment it is, of all that ever had its name. */
    identity: string;
    sites: boolean;
    /** Whether V8 counts views in `external`; it does where this Node gives us no way around. */
    viewsAreExternal: boolean;
    consumerViews: 'mapped' | 'mapped-each';
  };
  storeGiveBack(store: StoreHandle, keepBytes: number): Promise<number>;
  storeClose(store: StoreHandle): void;
}

/** native/door/experiment_door.cc */
export interface ExperimentBinding {
  /** Fills `bytes` with the words of `key` on a pool thread; they must stay attached until then. */
  patternFill(bytes: Uint8Array, key: bigint): Promise<void>;
  /** Index of the first byte that patternFill did not write for `key`, or -1; on a pool thread. */
  patternCheck(bytes: Uint8Array, key: bigint): Promise<number>;
  /** Who connected the Unix socket `fd` (SO_PEERCRED). */
  socketPeer(fd: number): { pid: number; uid: number };
}

/** native/door/entry_door.cc */
export interface EntryBinding {
  /** Opens a pidfd, which the caller closes; -1: the kernel or a seccomp filter offers none. */
  processOpen(pid: number): number;
  /** Signals the process of a pidfd. @throws MemdriftError ERR_GONE, ERR_DENIED */
  processSignal(handle: number, signal: number): void;
}
