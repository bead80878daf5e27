/** Every resident byte of a process under one cause. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { binding, bindingFile } from '../binding.ts';
import { MemdriftError } from '../errors.ts';
import type { Pid } from '../proc/arguments.ts';
import { readCounters } from '../proc/counters.ts';
import type { Explanation } from './explain_model.ts';
import { explainInside } from './inside.ts';
import type { InsideFactsModule } from './inside_facts.cts';

export interface ExplainOptions {
  /** From smaps alone, without entering the process: nothing of it is exact then. */
  readonly outside?: boolean;
}

/** As it is compiled: the same seen from here and from where this is compiled to. */
export const insideFactsModule = fileURLToPath(
  new URL('../../dist/drift/inside_facts.cjs', import.meta.url),
);

/**
 * Why the resident memory of a process is what it is: disjoint causes that add up to the Rss of one
 * read of smaps. This process itself waits meanwhile: see readOwnMalloc for how long.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED, ERR_INVALID
 */
export async function explain(pid: Pid, _options: ExplainOptions = {}): Promise<Explanation> {
  if (pid !== 'self' && pid !== process.pid) {
    throw new MemdriftError('ERR_UNSUPPORTED', 'only this process can be explained so far');
  }
  return explainSelf();
}

function explainSelf(): Explanation {
  const { gatherInside } = createRequire(insideFactsModule)(insideFactsModule) as InsideFactsModule;
  const native = binding();
  const takenAtMs = Date.now();
  const pages = explainInside(gatherInside(native), {
    ownFile: bindingFile(),
    residentIn: (ranges) => native.residentIn(-1, ranges),
  });
  const { name, startTimeTicks } = readCounters('self');
  return {
    schemaVersion: 1,
    options: { pid: process.pid, outside: false },
    pid: process.pid,
    name,
    startTimeTicks,
    takenAtMs,
    nodeVersion: process.version,
    source: 'self',
    sourceReason: null,
    ...pages,
  };
}
