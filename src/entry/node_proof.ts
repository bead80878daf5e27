/**
 * Proves that a process is Node and waits for SIGUSR1 as Node's inspector does. A caught signal is
 * not proof: a shell with a trap catches it too, as does a Node with a listener of its own.
 */
import { readFileSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import { type ElfImage, readElfImage } from './elf_symbols.ts';
import { identify, type ProcessIdentity } from './process_identity.ts';
import { openMemory, type ProcessMemory } from './process_memory.ts';
import { childrenOf, isStopped, linkOf, maskOf, systemCallsOf, textOf } from './process_text.ts';
import { watchedSignals } from './signal_tree.ts';

/** The same on every architecture that Node runs on. */
export const debugSignal = 10;
const signalBit = 1n << BigInt(debugSignal - 1);

/** Beginnings of names; compilers mangle the first differently and may number the second. */
const symbols = {
  semaphores: [
    '_ZN4node9inspector12_GLOBAL__N_1L25start_',
    '_ZN4node9inspector12_GLOBAL__N_125start_',
  ],
  tree: 'uv__signal_tree',
  loop: 'default_loop_struct',
  node: '_ZN4node9inspector5Agent13StartIoThreadEv',
} as const;

export interface NodeAddresses {
  /** Address of the semaphore on which Node's thread waits to open the inspector. */
  readonly semaphore: number;
  /** The root pointer of libuv's tree of signal watchers. */
  readonly tree: number;
  /** The main thread's uv_loop_t; null: not known. */
  readonly loop: number | null;
}

/** A process that may be signalled, as JSON: the guard checks it again. */
export interface DebugTarget {
  readonly identity: ProcessIdentity;
  /** Null when its executable is stripped. */
  readonly addresses: NodeAddresses | null;
  /** True: signalled despite a doubt, at the caller's request. */
  readonly isForced: boolean;
}

export type OpenMemory = (pid: number) => ProcessMemory;

/**
 * Examines the process; `doubt` says what could not be proven, and is null when it waits as Node
 * does.
 * @throws MemdriftError ERR_GONE; ERR_UNSUPPORTED when no option may have it signalled.
 */
export function lookAtTarget(
  pid: number,
  open: OpenMemory = openMemory,
): { readonly target: DebugTarget; readonly doubt: string | null } {
  const identity = identify(pid);
  const image = nodeImageOf(identity);
  checkDisposition(identity);
  const hidden = hiddenChildOf(identity);
  const addresses = addressesIn(image);
  if (addresses === null) {
    const doubt = 'its executable is stripped, so that its signal listeners cannot be found';
    return { target: { identity, addresses: null, isForced: true }, doubt };
  }
  const doubt = doubtOf(pid, addresses, open) ?? hidden;
  return { target: { identity, addresses, isForced: doubt !== null }, doubt };
}

/**
 * Returns why the process may not wait for SIGUSR1 as Node does; null when it does. Cheap enough to
 * call right before the signal.
 */
export function doubtOf(
  pid: number,
  addresses: NodeAddresses,
  open: OpenMemory = openMemory,
): string | null {
  try {
    const memory = open(pid);
    try {
      // In this order: Node starts the thread before it installs the handler.
      const waits = () =>
        systemCallsOf(pid).some(({ argument }) => argument === addresses.semaphore);
      if (!holdsSoon(waits)) return "no thread waits to open Node's inspector";
      const hasListener = watchedSignals(memory, addresses.tree).has(debugSignal);
      return hasListener ? "it has a listener of its own (process.on('SIGUSR1'))" : null;
    } finally {
      memory.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === undefined ? message : `${code}; see kernel.yama.ptrace_scope`;
    return `its memory, which tells whether it has a listener of its own, cannot be read (${why})`;
  }
}

/**
 * Checks that the signal is caught, not ignored and not blocked: otherwise it ends the process or
 * waits in it.
 * @throws MemdriftError ERR_GONE, ERR_UNSUPPORTED.
 */
export function checkDisposition(identity: ProcessIdentity): void {
  const status = textOf(`/proc/${identity.pid}/status`);
  if ((maskOf(status, 'SigCgt') & signalBit) === 0n) {
    throw notSignalled(
      identity,
      'it does not catch the signal and would end (it has just started, or runs with ' +
        '--disable-sigusr1); start it with memdrift run',
    );
  }
  if (
    (maskOf(status, 'SigIgn') & signalBit) !== 0n ||
    !holdsSoon(() => !blocksSignal(identity.pid))
  ) {
    throw notSignalled(identity, 'it ignores or blocks the signal; start it with memdrift run');
  }
  if (isStopped(status)) throw notSignalled(identity, 'it is stopped; continue it first');
}

/**
 * Returns whether the condition holds at a look within a second. pthread_create() and fork() block
 * all signals for a moment, and a thread needs one to reach its semaphore. On a loaded machine such
 * a moment lasts until the next time slice, which a process of low priority gets late.
 */
function holdsSoon(condition: () => boolean): boolean {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + 1000;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    Atomics.wait(pause, 0, 0, 2);
  }
  return true;
}

function blocksSignal(pid: number): boolean {
  return (maskOf(textOf(`/proc/${pid}/status`), 'SigBlk') & signalBit) !== 0n;
}

/** Returns whether the process is Node; null: its executable cannot be read. */
export function isNode(identity: ProcessIdentity): boolean | null {
  if (linkOf(`/proc/${identity.pid}/exe`) === null) return null;
  try {
    return nodeImageOf(identity) !== null;
  } catch {
    return false;
  }
}

/** Returns the executable or library that has Node's symbols; file names prove nothing. */
function nodeImageOf(identity: ProcessIdentity): MappedImage {
  const folder = `/proc/${identity.pid}`;
  const program = linkOf(`${folder}/exe`);
  const maps = textOf(`${folder}/maps`);
  const library = /\/\S*\/libnode\.so[.\d]*$/m.exec(maps)?.[0];
  const files = [
    { file: `${folder}/exe`, path: program },
    ...(library === undefined ? [] : [{ file: `${folder}/root${library}`, path: library }]),
  ];
  for (const { file, path } of files) {
    const wanted = [...symbols.semaphores, symbols.tree, symbols.loop, symbols.node];
    const image = readElfImage(file, wanted);
    if (image !== null && addressOf(image, [symbols.node]) !== null) return { image, path, maps };
  }
  const what = program === null ? 'its executable cannot be read' : `${program} is not Node`;
  throw notSignalled(identity, what);
}

interface MappedImage {
  readonly image: ElfImage;
  readonly path: string | null;
  readonly maps: string;
}

function addressesIn({ image, path, maps }: MappedImage): NodeAddresses | null {
  const bias = image.isRelocated ? biasOf(image, path ?? '', maps) : 0;
  const semaphore = addressOf(image, symbols.semaphores, 'start_io_thread_semaphoreE');
  const tree = addressOf(image, [symbols.tree]);
  const loop = addressOf(image, [symbols.loop]);
  if (bias === null || semaphore === null || tree === null) return null;
  return {
    semaphore: semaphore + bias,
    tree: tree + bias,
    loop: loop === null ? null : loop + bias,
  };
}

/** Returns by how much the image was moved, from the address of its first segment. */
function biasOf({ firstLoad }: ElfImage, path: string, maps: string): number | null {
  const page = 4096;
  const offset = firstLoad.offset - (firstLoad.offset % page);
  for (const row of maps.split('\n')) {
    const [range = '', , at = '', , , ...name] = row.split(/\s+/);
    if (name.join(' ') !== path || Number.parseInt(at, 16) !== offset) continue;
    const start = Number.parseInt(range.split('-')[0] ?? '', 16);
    return start - (firstLoad.address - (firstLoad.address % page));
  }
  return null;
}

/** Returns null when the name is missing or not unique. */
function addressOf(image: ElfImage, prefixes: readonly string[], end = ''): number | null {
  const numbered = /\.\d+$/;
  const addresses = image.symbols
    .filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)))
    .filter(({ name }) => {
      const plain = name.replace(numbered, '');
      return end === '' ? prefixes.includes(plain) : plain.endsWith(end);
    })
    .map(({ address }) => address);
  const [first] = addresses;
  return first !== undefined && addresses.every((address) => address === first) ? first : null;
}

/**
 * Checks that the process has no workers of node:cluster: Node passes the signal on to them, and
 * each opens an inspector of its own or has a handler for the signal. Returns why a child may be a
 * worker; null when none may.
 * @throws MemdriftError ERR_UNSUPPORTED.
 */
function hiddenChildOf(identity: ProcessIdentity): string | null {
  const workers: string[] = [];
  let hidden: string | null = null;
  for (const child of childrenOf(identity.pid)) {
    try {
      const environment = readFileSync(`/proc/${child}/environ`, 'latin1');
      if (/(?:^|\0)NODE_UNIQUE_ID=/.test(environment)) workers.push(child);
    } catch (error) {
      const isGone = ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!isGone) hidden = `its child ${child} cannot be looked at, and may be a cluster worker`;
    }
  }
  if (workers.length === 0) return hidden;
  throw notSignalled(
    identity,
    'it is the primary process of a cluster, and Node passes the signal on to its workers; ask ' +
      `one of them (${workers.slice(0, 5).join(', ')}), or start it with memdrift run`,
  );
}

function notSignalled({ pid, name }: ProcessIdentity, why: string): MemdriftError {
  const message = `process ${pid} (${JSON.stringify(name)}) is not sent SIGUSR1: ${why}`;
  return new MemdriftError('ERR_UNSUPPORTED', message, { pid });
}
