/** Finds the inspector of a process among the sockets that it listens on. */
import { type Inspector, inspectorAt } from './inspector_session.ts';
import { type Listener, listenersOf, servedAside } from './listeners.ts';
import { nodeOptionsOf } from './process_text.ts';

const usualPort = 9229;

/** The inspector that opened since `known` were all listeners; null: none yet. */
export async function newInspector(
  pid: number,
  known: readonly string[],
): Promise<Inspector | null> {
  const fresh = listenersOf(pid).filter(({ inode }) => !known.includes(inode));
  return fresh.length === 0 ? null : firstInspector(pid, servedAside(pid, fresh) ?? fresh);
}

/** The inspector that is open already; null: none is. Servers of the program are not asked. */
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
 * Where the process opens its inspector, by its options; it may have set another port since.
 * Port 0: any that is free.
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

/** `port`, `host` or `host:port`, as Node has them. */
function addressOf(text: string, before: Address): Address {
  const [, host, port] = /^(?:(\[[^\]]*\]|[^:]*):)?(\d+)$/.exec(text) ?? [undefined, text];
  return {
    host: host === undefined || host === '' ? before.host : host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? before.port : Number(port),
  };
}
