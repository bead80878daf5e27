/** Whether a process id still means the same process, and the same program in it. */
import { readFileSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import { readCounters } from '../proc/counters.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Name that the process set. */
  readonly name: string;
  readonly startTimeTicks: number | null;
  /** Start of the program's stack, which changes with exec(); 0: not reported. */
  readonly program: string;
}

/** Indexes into the fields of stat after the name: fields 9 and 28 in proc(5). */
const flagsField = 9 - 3;
const stackStartField = 28 - 3;
/** PF_KTHREAD of linux/sched.h. */
const kernelThreadFlag = 0x00200000;

/**
 * Returns what identifies the process and its program. @throws MemdriftError ERR_GONE (no such
 * process, a zombie, or a process that is ending), ERR_UNSUPPORTED (a kernel thread).
 */
export function identify(pid: number): ProcessIdentity {
  const { name, startTimeTicks, state, rssBytes } = readCounters(pid);
  if (state === 'Z' || state === 'X') {
    const what = `process ${pid} has ended (it is a zombie until its parent waits for it)`;
    throw new MemdriftError('ERR_GONE', `${what}; its memory is gone`, { pid });
  }
  if (rssBytes === null) {
    // An ending process gives up its memory before it becomes a zombie.
    if (!isKernelThread(statFields(pid))) {
      throw new MemdriftError('ERR_GONE', `process ${pid} is ending; its memory is gone`, { pid });
    }
    const what = `process ${pid} (${JSON.stringify(name)}) is a kernel thread`;
    throw new MemdriftError('ERR_UNSUPPORTED', `${what}: it has no memory of its own`, { pid });
  }
  return { pid, name, startTimeTicks, program: stackStartOf(pid) };
}

/** Checks that it is still the same process. @throws MemdriftError ERR_GONE, ERR_STATE (exec). */
export function checkSame(before: ProcessIdentity): void {
  const { pid } = before;
  const now = identify(pid);
  if (now.startTimeTicks !== before.startTimeTicks) {
    const what = `process ${pid} has ended, and another one has its number now`;
    throw new MemdriftError('ERR_GONE', what, { pid });
  }
  if (now.program !== before.program) {
    const what = `process ${pid} began another program (exec) while it was looked at`;
    throw new MemdriftError('ERR_STATE', `${what}; try again`, { pid });
  }
}

/** Returns true for a kernel thread, by the fields of stat after the name. */
export function isKernelThread(fields: readonly string[]): boolean {
  return (Number(fields[flagsField]) & kernelThreadFlag) !== 0;
}

function stackStartOf(pid: number): string {
  return statFields(pid)[stackStartField] ?? '';
}

function statFields(pid: number): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (cause) {
    throw new MemdriftError('ERR_GONE', `process ${pid} has ended`, { pid, cause });
  }
}
