/** Listening sockets of a process, their connections, and which of them may be Node's inspector. */
import { linkOf, namesIn, systemCallsOf, textOf } from './process_text.ts';

/** A listening TCP socket that loopback reaches. */
export interface Listener {
  readonly host: '127.0.0.1' | '::1';
  readonly port: number;
  readonly inode: string;
}

interface Row {
  /** Hexadecimal, as the kernel prints it. */
  readonly address: string;
  readonly port: number;
  readonly remotePort: number;
  readonly state: string;
  readonly inode: string;
}

const tcpState = { established: '01', listening: '0A' };
/** Addresses of both families that a connection to loopback reaches. */
const hosts: Readonly<Record<string, Listener['host']>> = {
  '0100007F': '127.0.0.1',
  '00000000': '127.0.0.1',
  '00000000000000000000000000000000': '127.0.0.1',
  '0000000000000000FFFF00000100007F': '127.0.0.1',
  '00000000000000000000000001000000': '::1',
};

/** Returns the listening sockets of the process, without those of others in its namespace. */
export function listenersOf(pid: number): readonly Listener[] {
  const rows = rowsOf(pid).filter((row) => row.state === tcpState.listening);
  const listeners = rows.flatMap(({ address, port, inode }) => {
    const host = hosts[address];
    return host === undefined ? [] : [{ host, port, inode }];
  });
  if (listeners.length === 0) return [];
  const own = new Set(socketsOf(pid).map(({ inode }) => inode));
  return listeners.filter(({ inode }) => own.has(inode));
}

/** Returns whether the process holds the other end of our connection from `ourPort`. */
export function ownsConnection(pid: number, { port }: Listener, ourPort: number): boolean {
  const ends = rowsOf(pid).filter(
    (row) => row.port === port && row.remotePort === ourPort && row.state === tcpState.established,
  );
  if (ends.length === 0) return false;
  const own = new Set(socketsOf(pid).map(({ inode }) => inode));
  return ends.some(({ inode }) => own.has(inode));
}

/** Returns whether anything is connected to the listener. */
export function hasDebugger(pid: number, { port }: Listener): boolean {
  return rowsOf(pid).some((row) => row.port === port && row.state === tcpState.established);
}

/** Returns the holder of the port in the namespace of `pid`, in words; null: the port is free. */
export function portHolder(pid: number, port: number): string | null {
  const row = rowsOf(pid).find(
    (one) => one.port === port && one.state === tcpState.listening && one.address in hosts,
  );
  if (row === undefined) return null;
  for (const other of namesIn('/proc')) {
    if (!/^\d+$/.test(other)) continue;
    if (!socketsOf(Number(other)).some(({ inode }) => inode === row.inode)) continue;
    return `process ${other} (${JSON.stringify(textOf(`/proc/${other}/comm`).trim())})`;
  }
  return 'a process of another user';
}

/**
 * Returns those of `listeners` that a thread other than the main one polls, as the inspector's
 * does: the program's own servers must get no request. Null when the threads cannot be examined.
 */
export function servedAside(
  pid: number,
  listeners: readonly Listener[],
): readonly Listener[] | null {
  const calls = systemCallsOf(pid);
  if (calls.every(({ argument }) => argument === null)) return null;
  const places = new Map(socketsOf(pid).map(({ inode, fd }) => [inode, fd]));
  const waited = new Set<string>();
  for (const { thread, argument } of calls) {
    if (thread === pid || argument === null) continue;
    if (linkOf(`/proc/${pid}/fd/${argument}`) !== 'anon_inode:[eventpoll]') continue;
    const text = textOf(`/proc/${pid}/fdinfo/${argument}`);
    for (const [, fd = ''] of text.matchAll(/^tfd:\s*(\d+)/gm)) waited.add(fd);
  }
  return listeners.filter(({ inode }) => waited.has(places.get(inode) ?? ''));
}

function rowsOf(pid: number): readonly Row[] {
  return ['tcp', 'tcp6'].flatMap((table) =>
    textOf(`/proc/${pid}/net/${table}`).split('\n').slice(1, -1).map(rowOf),
  );
}

function rowOf(line: string): Row {
  const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
  const [address = '', port = ''] = local.split(':');
  const portOf = (text: string): number => Number.parseInt(text, 16);
  return {
    address,
    port: portOf(port),
    remotePort: portOf(remote.split(':')[1] ?? ''),
    state,
    inode,
  };
}

function socketsOf(pid: number): readonly { readonly fd: string; readonly inode: string }[] {
  return namesIn(`/proc/${pid}/fd`).flatMap((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`) ?? '')?.[1];
    return inode === undefined ? [] : [{ fd, inode }];
  });
}
