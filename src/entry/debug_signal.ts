/** The one place that sends SIGUSR1, to a process that is proven to wait for it at that moment. */
import { closeSync } from 'node:fs';
import { binding } from '../binding.ts';
import { MemdriftError } from '../errors.ts';
import { checkDisposition, type DebugTarget, debugSignal, doubtOf } from './node_proof.ts';
import { checkSame } from './process_identity.ts';

/**
 * Checks the target once more and signals it. Facts read from /proc between the opening of a pidfd
 * and a signal through it concern the process that gets the signal.
 * @throws MemdriftError ERR_GONE, ERR_STATE (it runs another program, or changed its listeners),
 * ERR_UNSUPPORTED, ERR_DENIED.
 */
export function sendDebugSignal({ identity, addresses, isForced }: DebugTarget): void {
  const { pid } = identity;
  const native = binding();
  const handle = native.processOpen(pid);
  try {
    checkSame(identity);
    checkDisposition(identity);
    const doubt = isForced || addresses === null ? null : doubtOf(pid, addresses);
    if (doubt !== null) {
      const what = `process ${pid} changed and is not sent SIGUSR1: ${doubt}; try again`;
      throw new MemdriftError('ERR_STATE', what, { pid });
    }
    if (handle === -1) process.kill(pid, 'SIGUSR1');
    else native.processSignal(handle, debugSignal);
  } finally {
    if (handle !== -1) closeSync(handle);
  }
}
