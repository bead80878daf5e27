/** Finds the inspector of a process among the sockets that it listens on. */
import { type Inspector, inspectorAt } from './inspector_session.ts';
import { type Listener, listenersOf, servedAside } from './listeners.ts';
import { nodeOptionsOf } from './process_text.ts';

const usualPort = 9229;

/** Returns the inspector among the listeners that are not in `known`; null: none yet. */
export async function newInspector(
  pid: number,
  known: readonly string[],
): Promise<Inspector | null> {
  const fresh = listenersOf(pid).filter(({ inode }) => !known.includes(inode));
  return fresh.length === 0 ? null : firstInspector(pid, servedAside(pid, fresh) ?? fresh);
}

/**
 * Returns the inspector that is open already, or null. Sends no request to the program's servers.
 */
export async function openInspector(pid: number): Promise<Inspector | null> {
  const all = listenersOf(pid);
  if (all.length === 0) return null;
  const { port } = inspectorAddress(pid);
  const likely = servedAside(pid, all) ?? all.filter((one) => one.port === port);
  return firstInspector(pid, likely);
}

async function firstInspector(
  pid: number,
  listeners: readonly Listener[],
): Promise<Inspector | null> {
  for (const listener of listeners) {
    const inspector = await inspectorAt(pid, listener);
    if (inspector !== null) return inspector;
  }
  return null;
}

/**
 * Returns the address where the process's options have it open its inspector; the program may have
 * set another port since. Port 0 is any free port.
 */
export function inspectorAddress(pid: number): { readonly host: string; readonly port: number } {
  let address = { host: '127.0.0.1', port: usualPort };
  const options = nodeOptionsOf(pid);
  options.forEach((option, i) => {
    const [, name = '', joined] = /^--(inspect|debug)[a-z-]*(?:=(.*))?$/.exec(option) ?? [];
    if (name === '') return;
    const value = joined ?? (/-port$/.test(option) ? options[i + 1] : undefined);
    if (value !== undefined) address = addressOf(value, address);
  });
  return address;
}

type Address = ReturnType<typeof inspectorAddress>;

/** Parses `port`, `host` or `host:port`, as Node does. */
function addressOf(text: string, before: Address): Address {
  const [, host, port] = /^(?:(\[[^\]]*\]|[^:]*):)?(\d+)$/.exec(text) ?? [undefined, text];
  return {
    host: host === undefined || host === '' ? before.host : host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? before.port : Number(port),
  };
}
