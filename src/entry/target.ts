/** Whether a running process can be entered, looked up before anything is sent to it. */
import { readFileSync, statSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';
import { inspectorAddress } from './inspector_finder.ts';
import { type DebugTarget, lookAtTarget } from './node_proof.ts';
import { linkOf, namesIn, nodeOptionsOf } from './process_text.ts';

export interface EntryOptions {
  /** Opens the inspector although other users of this machine can reach it for a moment. */
  readonly yesOpenInspector?: boolean;
  /** Signals a Node that may have a listener of its own for SIGUSR1. */
  readonly signal?: boolean;
  /** Receives a notice of what will happen to the process, before it does. */
  readonly onNotice?: (text: string) => void;
}

/** JavaScript that gives a module of Node's, in a program of either kind. */
export const getBuiltin =
  '(process.getBuiltinModule ?? process.mainModule.require.bind(process.mainModule))';

/** @throws MemdriftError ERR_GONE. */
export function checkExists(pid: number): void {
  statusOf(pid);
}

/**
 * Checks that our code can run in `pid`: same user, same network, and `files` visible to it.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED, with what to do instead.
 */
export function checkTarget(pid: number, files: readonly string[]): void {
  const uid = Number(/^Uid:\t\d+\t(\d+)/m.exec(statusOf(pid))?.[1]);
  const own = process.geteuid?.();
  if (own !== 0 && uid !== own) {
    throw new MemdriftError('ERR_DENIED', `process ${pid} is of user ${uid}; attach as that user`);
  }
  if (nodeOptionsOf(pid).some((option) => /^--(experimental-)?permission\b/.test(option))) {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `process ${pid} runs with --permission, which lets no addon in; start it with memdrift run ` +
        'and --allow-addons',
    );
  }
  const inside = 'run memdrift where the process runs, such as in its container';
  if (linkOf(`/proc/${pid}/ns/net`) !== linkOf('/proc/self/ns/net')) {
    const what = `process ${pid} is in another network namespace, or may not be looked at`;
    throw new MemdriftError('ERR_UNSUPPORTED', `${what}; ${inside}`, { pid });
  }
  const missing = files.find((file) => !isSame(`/proc/${pid}/root${file}`, file));
  if (missing === undefined) return;
  const what = `process ${pid} does not see ${missing} (it has another root)`;
  throw new MemdriftError('ERR_UNSUPPORTED', `${what}; ${inside}`, { pid });
}

/**
 * Returns the process as a target that may be signalled.
 * @throws MemdriftError ERR_GONE, ERR_UNSUPPORTED, ERR_DENIED (others could use its inspector).
 */
export function provenTarget(
  pid: number,
  { signal = false, yesOpenInspector = false }: EntryOptions,
): DebugTarget {
  const { target, doubt } = lookAtTarget(pid);
  if (doubt !== null && !signal) {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `process ${pid} (${JSON.stringify(target.identity.name)}) is Node and catches SIGUSR1, but ` +
        `is not sent it: ${doubt}; send it with --signal, or start the process with memdrift run`,
      { pid },
    );
  }
  checkInspector(pid, yesOpenInspector);
  return target;
}

/** Users other than root and us who have processes here: the inspector is open to them too. */
export function otherUsers(): readonly number[] {
  const users = new Set<number>();
  for (const name of namesIn('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      users.add(statSync(`/proc/${name}`).uid);
    } catch {
      // It has ended.
    }
  }
  users.delete(0);
  users.delete(process.geteuid?.() ?? 0);
  return [...users];
}

/**
 * Checks that no other user can use the inspector while it is open, or that this is allowed.
 * @throws MemdriftError ERR_DENIED, ERR_UNSUPPORTED (we could not reach it).
 */
function checkInspector(pid: number, isAllowed: boolean): void {
  const { host } = inspectorAddress(pid);
  const isLoopback = /^(127\.0\.0\.1|localhost|::1)$/.test(host);
  const isAny = /^(0\.0\.0\.0|::)$/.test(host);
  if (!isLoopback && !isAny) {
    const what = `process ${pid} would open its inspector on ${host}, which is not loopback`;
    throw new MemdriftError('ERR_UNSUPPORTED', `${what}; start it with memdrift run`, { pid });
  }
  if (isAllowed) return;
  const users = otherUsers().slice(0, 5).join(', ');
  if (isLoopback && users === '') return;
  const who = isAny
    ? `process ${pid} would open its inspector on ${host}, and all who reach this machine could`
    : `other users have processes on this machine (${users}), and for about a second each could`;
  throw new MemdriftError(
    'ERR_DENIED',
    `${who} run code in the process through it; open it with --yes-open-inspector, or start the ` +
      'process with memdrift run',
    { pid },
  );
}

function isSame(path: string, file: string): boolean {
  try {
    const [one, other] = [statSync(path), statSync(file)];
    return one.ino === other.ino && one.dev === other.dev;
  } catch {
    return false;
  }
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (cause) {
    throw new MemdriftError('ERR_GONE', `there is no process ${pid}`, { pid, cause });
  }
}
