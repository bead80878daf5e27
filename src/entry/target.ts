/** Whether a running process can be attached to, looked up before anything is sent to it. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { MemdriftError } from '../errors.ts';

/** The bit of SIGUSR1 in the masks of /proc/PID/status. */
const signalBit = 1n << 9n;

/** JavaScript that gives a module of Node's, in a program of either kind. */
export const getBuiltin =
  '(process.getBuiltinModule ?? process.mainModule.require.bind(process.mainModule))';

/** @throws MemdriftError ERR_GONE. */
export function checkExists(pid: number): void {
  statusOf(pid);
}

/**
 * Checks that `pid` is a process of this user that catches SIGUSR1, which ends one that does not.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED, with what to do instead.
 */
export function checkTarget(pid: number): void {
  const status = statusOf(pid);
  const uid = Number(/^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]);
  const own = process.geteuid?.();
  if (own !== 0 && uid !== own) {
    throw new MemdriftError('ERR_DENIED', `process ${pid} is of user ${uid}; attach as that user`);
  }
  const caught = BigInt(`0x${/^SigCgt:\t([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  if ((caught & signalBit) === 0n) {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `process ${pid} does not catch SIGUSR1, which would end it: it is not Node, it has only ` +
        'just started, or it runs with --disable-sigusr1; start it with memdrift run instead',
    );
  }
  const options = `${textOf(`/proc/${pid}/cmdline`)}\0${optionsVariable(pid)}`;
  if (/--(experimental-)?permission\b/.test(options)) {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `process ${pid} runs with --permission, which lets no addon in; start it with memdrift run ` +
        'and --allow-addons',
    );
  }
}

/** Users other than root and us who have processes here: the inspector is open to them too. */
export function otherUsers(): readonly number[] {
  const users = new Set<number>();
  for (const name of readdirSync('/proc')) {
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

/** Ports on loopback that the process listens at. */
export function portsOf(pid: number): readonly number[] {
  const sockets = new Set(socketsOf(pid));
  const rows = textOf(`/proc/${pid}/net/tcp`).split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, address, , state, , , , , , inode]) => {
      const isListening = state === '0A' && address?.startsWith('0100007F:') === true;
      return isListening && sockets.has(inode ?? '');
    })
    .map(([, address]) => Number.parseInt(address?.split(':')[1] ?? '', 16));
}

/**
 * That nobody else can use the inspector while it is open, or that this is allowed.
 * @throws MemdriftError ERR_DENIED.
 */
export function checkInspector(isAllowed: boolean): void {
  const users = isAllowed ? [] : otherUsers();
  if (users.length === 0) return;
  throw new MemdriftError(
    'ERR_DENIED',
    `other users have processes on this machine (${users.slice(0, 5).join(', ')}), and for about ` +
      'a second each of them could run code in the process through its inspector; ' +
      '--yes-open-inspector does it all the same, memdrift run needs no inspector',
  );
}

function socketsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  const inodes: string[] = [];
  for (const fd of readdirSync(folder)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1];
      if (inode !== undefined) inodes.push(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  return inodes;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (cause) {
    throw new MemdriftError('ERR_GONE', `there is no process ${pid}`, { pid, cause });
  }
}

function optionsVariable(pid: number): string {
  return /(?:^|\0)NODE_OPTIONS=([^\0]*)/.exec(textOf(`/proc/${pid}/environ`))?.[1] ?? '';
}

/** A file of the process; empty when it cannot be read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
