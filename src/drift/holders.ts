/** Who holds a mapping as a whole, by its name, its flags and what is beside it. */
import { isArena } from './arena_shape.ts';
import type { Cause } from './causes.ts';
import type { MappingRows } from './mapping_rows.ts';

/**
 * A cause, or one of those that several causes share: `malloc` and `v8` are split by what the
 * allocator and the runtime say.
 */
export type Holder =
  | Exclude<
      Cause,
      | 'external-strings'
      | 'v8-free'
      | 'v8-heap'
      | 'v8-pooled'
      | 'malloc-in-use'
      | 'malloc-freed'
      | 'malloc-top'
    >
  | 'v8'
  | 'malloc'
  | 'unexplained';

export interface HolderRules {
  /** The addon's file; its mappings are our own. */
  readonly ownFile: string | null;
  /** Rows that a thread's control block is in. */
  readonly stackRows: ReadonlySet<number>;
  /** Who holds memory that nothing tells apart: `malloc` where its allocator is not walked. */
  readonly rest: 'malloc' | 'unexplained';
  /** False: it may be any program, and what only looks like V8's is somebody else's. */
  readonly isSurelyNode: boolean;
  /** As it is known: mimalloc chooses its addresses where V8 does. */
  readonly allocator: string | null;
}

const kernelNames = /^\[(vdso|vvar|vvar_vclock|vsyscall|uprobes|sigpage|vectors|timerpage)\]$/;
const sharedNames = /^\/(dev\/shm\/|memfd:|SYSV|dev\/zero)|^\[anon_shmem:/;
/** Devices, and what the kernel maps for interfaces of its own. */
const specialNames = /^\/(dev\/|\[aio\])|^anon_inode:/;

const alignment = 256 << 10;
const largestGuardBytes = 64 << 10;

/** Of each row. */
export function holdersOf(rows: MappingRows, rules: HolderRules): Holder[] {
  const isV8 = v8Rule(rows, rules);
  const holders: Holder[] = [];
  for (let i = 0; i < rows.length; i++) holders.push(holderOf(i));
  return holders;

  function holderOf(i: number): Holder {
    const named = namedHolder(rows, i, rules);
    if (named !== null) return named;
    if (rows.permissionsOf(i)[3] === 's') return 'shared-segment';
    if (isV8(i)) return rows.permissionsOf(i)[2] === 'x' ? 'v8-code' : 'v8';
    if (rules.stackRows.has(i) || isStackByShape(rows, i)) return 'thread-stacks';
    // Data of a program or library that its file has no content for.
    if (rows.followsDirectly(i) && holders[i - 1] === 'file-code') {
      if (rows.permissionsOf(i - 1)[1] === 'w' && rows.isFile(i - 1)) return 'file-private';
    }
    return rules.rest;
  }
}

function namedHolder(rows: MappingRows, i: number, rules: HolderRules): Holder | null {
  const name = rows.nameOf(i);
  if (sharedNames.test(name)) return 'shared-segment';
  if (rows.isFile(i)) {
    if (name === rules.ownFile) return 'memdrift';
    if (specialNames.test(name)) return 'kernel-special';
    return rows.isOfProgram(i) ? 'file-code' : 'file-data';
  }
  if (name.startsWith('[stack')) return 'thread-stacks';
  if (name === '[heap]') return rules.rest;
  if (kernelNames.test(name)) return 'kernel-special';
  return rows.isAnonymous(i) ? null : 'kernel-special';
}

/**
 * V8 asks for memory at random addresses up to here; what is asked for nowhere in particular the
 * kernel puts near the stack, which is above.
 */
const v8AddressEnd = 2 ** 46;
const leastV8Address = 2 ** 32;

/**
 * V8 asks for its memory not to be copied to children (MADV_DONTFORK, `dc`), which nobody else
 * does, and at addresses of its own choice: what it has mapped anew since has only these. Where it
 * was built without that, it is what was reserved without being accounted for and begins where V8's
 * pages do; malloc's arenas look like that too.
 */
function v8Rule(
  rows: MappingRows,
  { allocator, isSurelyNode }: HolderRules,
): (i: number) => boolean {
  const isDontFork = (i: number): boolean => rows.isAnonymous(i) && rows.hasFlag(i, 'dc');
  let hasDontFork = false;
  let hasHighStack = false;
  for (let i = 0; i < rows.length; i++) {
    hasDontFork ||= isDontFork(i);
    hasHighStack ||= rows.nameOf(i) === '[stack]' && rows.startOf(i) > v8AddressEnd;
  }
  if (hasDontFork) {
    const isChosen = (i: number): boolean =>
      rows.isAnonymous(i) && rows.startOf(i) >= leastV8Address && rows.endOf(i) <= v8AddressEnd;
    return hasHighStack && allocator !== 'mimalloc'
      ? (i) => isDontFork(i) || isChosen(i)
      : isDontFork;
  }
  if (!isSurelyNode) return () => false;
  return (i) =>
    rows.isAnonymous(i) &&
    rows.hasFlag(i, 'nr') &&
    rows.startOf(i) % alignment === 0 &&
    !isArena(rows, i);
}

/**
 * Stacks of threads that have ended are kept for the next one: behind a guard, and asked for as a
 * stack, which kernels since 6.7 show as `nh`.
 */
function isStackByShape(rows: MappingRows, i: number): boolean {
  if (rows.nameOf(i).includes('pthread stack')) return true;
  if (!rows.hasFlag(i, 'nh') || !rows.permissionsOf(i).startsWith('rw-p')) return false;
  if (!rows.followsDirectly(i) || !rows.permissionsOf(i - 1).startsWith('---')) return false;
  return rows.endOf(i - 1) - rows.startOf(i - 1) <= largestGuardBytes;
}

/** How many isolates there are: each has a range of addresses for its code, mostly free. */
export function countIsolates(rows: MappingRows): number {
  const leastBytes = 256 << 20;
  let count = 0;
  const isV8 = (i: number): boolean => rows.isAnonymous(i) && rows.hasFlag(i, 'dc');
  const isCode = (i: number): boolean => isV8(i) && rows.permissionsOf(i)[2] === 'x';
  for (let i = 0; i < rows.length; i++) {
    if (!isV8(i) || rows.endOf(i) - rows.startOf(i) < leastBytes) continue;
    if (isCode(i) || (rows.followsDirectly(i) && isCode(i - 1))) count++;
  }
  return count;
}
