/**
 * The one door to native code: this is the only file that loads a `.node`. `Binding` has one entry
 * per function that native/door/addon.cc exports; a test fails when the two differ.
 *
 * Bulk data crosses as typed-array columns, native objects as opaque branded handles that only the
 * room that made them may keep.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MemdriftError } from './errors.ts';

export interface Binding
  extends ProcBinding,
    SamplerBinding,
    ShmBinding,
    StoreBinding,
    ExperimentBinding {
  /** Hands the error class over, once per environment; before it, native errors are plain. */
  initialize(errorClass: typeof MemdriftError): void;
}

/** native/door/proc_door.cc */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the room
export interface ProcBinding {}

/** native/door/sampler_door.cc */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the room
export interface SamplerBinding {}

/** native/door/shm_door.cc */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the room
export interface ShmBinding {}

/** native/door/store_door.cc */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the room
export interface StoreBinding {}

/** native/door/experiment_door.cc */
export interface ExperimentBinding {
  /** Fills `bytes` with the words of `key` on a pool thread; `bytes` must stay attached until then. */
  patternFill(bytes: Uint8Array, key: bigint): Promise<void>;
  /** Index of the first byte that is not the one patternFill wrote for `key`, or -1; on a pool thread. */
  patternCheck(bytes: Uint8Array, key: bigint): Promise<number>;
  /** Who connected the Unix socket `fd` (SO_PEERCRED). */
  socketPeer(fd: number): { pid: number; uid: number };
}

let loaded: Binding | null = null;

/**
 * The native part, loaded at the first call so that importing memdrift works everywhere.
 * @throws MemdriftError ERR_UNSUPPORTED off Linux, ERR_NO_BINARY when no binary fits.
 */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

function load(): Binding {
  if (process.platform !== 'linux') {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `memdrift reads /proc and POSIX shared memory of Linux; this is ${process.platform}. Run it on Linux.`,
      { platform: process.platform },
    );
  }
  const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');
  const native = requireBinary(packageRoot);
  native.initialize(MemdriftError);
  return native;
}

function requireBinary(packageRoot: string): Binding {
  const require = createRequire(import.meta.url);
  try {
    return (require('node-gyp-build') as (root: string) => Binding)(packageRoot);
  } catch (cause) {
    const libc = libcName();
    const tried = [
      join(packageRoot, 'build/Release/memdrift.node'),
      join(packageRoot, `prebuilds/linux-${process.arch}/memdrift.${libc}.node`),
    ];
    throw new MemdriftError(
      'ERR_NO_BINARY',
      `No native part of memdrift could be loaded for linux-${process.arch}, ${libc}, Node ${process.version}.\n` +
        `Tried: ${tried.join(', ')}\n` +
        `Reason: ${cause instanceof Error ? cause.message : String(cause)}\n` +
        `To build it here: npm rebuild memdrift --build-from-source --foreground-scripts ` +
        `(needs python3, make and a C++20 compiler).`,
      { cause, tried, platform: `linux-${process.arch}`, libc },
    );
  }
}

function libcName(): 'glibc' | 'musl' {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime ? 'glibc' : 'musl';
}
