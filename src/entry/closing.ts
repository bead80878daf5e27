/** Closes an inspector that our signal opened, from within the process. */
import { type Inspector, InspectorSession } from './inspector_session.ts';
import { hasDebugger, type Listener, listenersOf } from './listeners.ts';

/** How long the process may take to close its inspector, or to take the order to. */
export const closeMs = 5000;

/**
 * Has the process close its inspector when its event loop turns, however long the main thread is
 * blocked until then. Returns true once the process has taken the order. Ends the session, since
 * close() would wait for it.
 */
export async function scheduleClosing(
  session: InspectorSession,
  { listener }: Inspector,
  timeoutMs: number,
): Promise<boolean> {
  try {
    return (await session.evaluate({ expression: closingLater(listener), timeoutMs })) === true;
  } catch {
    return false;
  } finally {
    session.end();
  }
}

/** Closes the inspector of a main thread that is busy in JavaScript, whose loop does not turn. */
export async function closeAtOnce(inspector: Inspector): Promise<void> {
  try {
    const session = await InspectorSession.open(inspector);
    const expression = closingNow(inspector.listener, session.ourPort);
    await session.evaluateLast({ expression, timeoutMs: closeMs });
  } catch {
    // The inspector is closed by now.
  }
}

/** Returns whether the process still listens at the inspector. */
export function isOpen({ pid, listener }: Inspector): boolean {
  return listenersOf(pid).some(({ inode }) => inode === listener.inode);
}

/** Returns whether a debugger is connected to the inspector; our own connection counts too. */
export function isUsed({ pid, listener }: Inspector): boolean {
  return hasDebugger(pid, listener);
}

/**
 * Returns code that closes the inspector only after the loop has polled once: where the signal met
 * a busy main thread, Node opened the inspector by an interrupt, and opens it again when the loop
 * handles the signal. The timers do not keep a program alive.
 */
function closingLater({ port }: Listener): string {
  return `(() => {
    ${closeUnlessUsed(port, 0)}
    const { setImmediate, setTimeout } = get('timers');
    const later = (ms) => setTimeout(() => setImmediate(close).unref(), ms).unref();
    const close = () => { if (closeUnlessUsed()) later(1000); };
    later(100);
    return true;
  })()`;
}

function closingNow({ port }: Listener, ourPort: number): string {
  return `(() => {
    ${closeUnlessUsed(port, ourPort)}
    closeUnlessUsed();
  })()`;
}

/**
 * Returns the code of a function that closes the inspector, or returns true when a debugger is
 * connected: close() would end that connection, and block the main thread until the debugger
 * answers.
 */
function closeUnlessUsed(port: number, ourPort: number): string {
  const [end, ours] = [port, ourPort].map(hexadecimal);
  return `
    const get = process.getBuiltinModule ?? process.mainModule.require.bind(process.mainModule);
    const { readFileSync } = get('fs');
    const inspector = get('inspector');
    const isConnected = (row) => {
      const [, local = '', remote = '', state] = row.trim().split(/\\s+/);
      return state === '01' && local.endsWith('${end}') && !remote.endsWith('${ours}');
    };
    const isUsed = (table) => {
      try {
        return readFileSync('/proc/self/net/' + table, 'latin1').split('\\n').some(isConnected);
      } catch {
        return false;
      }
    };
    const closeUnlessUsed = () => {
      if (!inspector.url()?.includes(':${port}/')) return false;
      if (isUsed('tcp') || isUsed('tcp6')) return true;
      inspector.close();
      return false;
    };`;
}

/** Returns the port as the kernel prints it in an address. */
function hexadecimal(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
