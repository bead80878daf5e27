/** Closes an inspector that a signal of ours opened, from within the process. */
import type { Evaluation } from './inspector_session.ts';
import type { Listener } from './listeners.ts';

/** How long the process may take to begin: a busy main thread is interrupted for it. */
const answerMs = 20_000;

/**
 * Closes the inspector once no connection is left: close() would end a debugger's, and would wait
 * for our own. Not before the loop has polled once: where the signal met a busy main thread, Node
 * has opened the inspector by an interrupt, and opens it again when the loop hears of the signal.
 * The timers do not keep a program that ends.
 */
export function closingOf({ port }: Listener): Evaluation {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const expression = `(() => {
    const get = process.getBuiltinModule ?? process.mainModule.require.bind(process.mainModule);
    const { readFileSync } = get('fs');
    const { setImmediate, setTimeout } = get('timers');
    const inspector = get('inspector');
    const isConnected = (row) => {
      const [, local = '', , state] = row.trim().split(/\\s+/);
      return state === '01' && local.endsWith('${end}');
    };
    const isUsed = (table) => {
      try {
        return readFileSync('/proc/self/net/' + table, 'latin1').split('\\n').some(isConnected);
      } catch {
        return false;
      }
    };
    const close = () => {
      if (!inspector.url()?.includes(':${port}/')) return;
      if (isUsed('tcp') || isUsed('tcp6')) later(1000);
      else inspector.close();
    };
    const later = (ms) => setTimeout(() => setImmediate(close).unref(), ms).unref();
    later(100);
    return true;
  })()`;
  return { expression, timeoutMs: answerMs };
}
