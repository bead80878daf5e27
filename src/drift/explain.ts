/** Every resident byte of a process under one cause. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { binding, bindingFile } from '../binding.ts';
import { answersWithin, askTracked } from '../entry/control_client.ts';
import { evaluateIn } from '../entry/inspector.ts';
import { isNode } from '../entry/node_proof.ts';
import { checkSame, identify, type ProcessIdentity } from '../entry/process_identity.ts';
import { checkTarget, type EntryOptions, getBuiltin, provenTarget } from '../entry/target.ts';
import { isMemdriftError, MemdriftError } from '../errors.ts';
import { nativePid, type Pid } from '../proc/arguments.ts';
import { readCounters } from '../proc/counters.ts';
import type { DeepFactsModule } from './deep_facts.cts';
import type { Explanation } from './explain_model.ts';
import type { InsideFacts } from './facts.ts';
import { explainInside } from './inside.ts';
import type { InsideFactsModule } from './inside_facts.cts';
import { explainOutside } from './outside.ts';
import type { PagesContext } from './pages.ts';

export interface ExplainOptions extends EntryOptions {
  /**
   * Also what Buffers hold against what is referenced of them: collects all garbage, lets the event
   * loop wait for 0.3 s, and 2.5 s more per million of Buffers, and takes a few turns of it.
   * Each Worker is asked for its counts, on its own thread, and has 0.5 s for its answer.
   */
  readonly deep?: boolean;
  /** By the mappings alone, without entering the process: an estimate. */
  readonly outside?: boolean;
}

/** How long a main thread may take to read its socket before it is busy. */
const socketMs = 500;

const asked = 'an estimate from outside was asked for';

/** As it is compiled: the same seen from here and from where this is compiled to. */
const compiled = (name: string): string =>
  fileURLToPath(new URL(`../../dist/drift/${name}`, import.meta.url));
const insideFactsFile = compiled('inside_facts.cjs');
const deepFactsFile = compiled('deep_facts.cjs');

const load = createRequire(insideFactsFile);
const insideFacts = (): InsideFactsModule => load(insideFactsFile) as InsideFactsModule;
const deepFacts = (): DeepFactsModule => load(deepFactsFile) as DeepFactsModule;

/**
 * Why the resident memory of a process is what it is: disjoint causes that add up to the Rss of one
 * read of smaps. This process is asked itself; another one by its own socket, where `memdrift run`
 * started it, or through its inspector; where neither can be, an estimate is made of its mappings,
 * and `sourceReason` says why. The process that is asked waits meanwhile: 0.2 s per GB of malloc's
 * memory, or more.
 * @throws MemdriftError ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED (a thread of the kernel), ERR_STATE
 * (it began another program meanwhile), ERR_INVALID
 */
export async function explain(pid: Pid, options: ExplainOptions = {}): Promise<Explanation> {
  const number = nativePid(pid);
  if (pid === 'self' || number === process.pid) return explainSelf(options);
  const identity = identify(number);
  if (options.outside === true) return fromOutside(identity, asked, options);
  try {
    return await fromInside(identity, options);
  } catch (error) {
    if (!(error instanceof MemdriftError) || error.code === 'ERR_GONE') throw error;
    checkSame(identity);
    return fromOutside(identity, error.message, options);
  }
}

async function explainSelf(options: ExplainOptions): Promise<Explanation> {
  const { deep, outside } = options;
  const identity = { ...readCounters('self'), program: '' };
  if (outside) return fromOutside({ ...identity, pid: process.pid }, asked, options);
  const takenAtMs = Date.now();
  const native = binding();
  const facts = deep ? await deepFacts().gatherDeep(native) : insideFacts().gatherInside(native);
  return inside({ ...identity, pid: process.pid }, 'self', { facts, takenAtMs });
}

/**
 * By its socket, or by its inspector where it has none. A main thread that is busy in JavaScript
 * does not read its socket, but the inspector breaks in; where that cannot be, the socket waits.
 */
async function fromInside(
  identity: ProcessIdentity,
  options: ExplainOptions,
): Promise<Explanation> {
  const { pid } = identity;
  const answers = await answersWithin(pid, socketMs);
  if (answers === null) return byInspector(identity, options);
  if (answers) return bySocket(identity, options);
  try {
    const explanation = await byInspector(identity, options);
    return { ...explanation, tracking: { attach: false, run: true } };
  } catch (error) {
    if (!isMemdriftError(error, 'ERR_UNSUPPORTED') && !isMemdriftError(error, 'ERR_DENIED')) {
      throw error;
    }
    return bySocket(identity, options).catch(() => {
      throw error;
    });
  }
}

async function bySocket(identity: ProcessIdentity, options: ExplainOptions): Promise<Explanation> {
  const { pid } = identity;
  const answer = await askTracked(pid, { do: 'explain', deep: options.deep === true });
  const takenAtMs = Date.now();
  if (answer?.facts === undefined) return byInspector(identity, options);
  checkSame(identity);
  return fromFacts(identity, 'socket', { text: answer.facts, takenAtMs });
}

async function byInspector(
  identity: ProcessIdentity,
  options: ExplainOptions,
): Promise<Explanation> {
  const { pid } = identity;
  const module = options.deep ? deepFactsFile : insideFactsFile;
  checkTarget(pid, [bindingFile(), module]);
  const file = JSON.stringify(module);
  const gather = options.deep ? 'gatherDeepAsText' : 'gatherInsideAsText';
  const expression = `(() => {
    const addon = { exports: {} };
    process.dlopen(addon, ${JSON.stringify(bindingFile())});
    const { createRequire } = (${getBuiltin})('module');
    return createRequire(${file})(${file}).${gather}(addon.exports);
  })()`;
  const question = { expression, awaitPromise: options.deep === true };
  const text = await evaluateIn(pid, question, options);
  checkSame(identity);
  return fromFacts(identity, 'inspector', { text: String(text), takenAtMs: Date.now() });
}

/** @throws MemdriftError ERR_MALFORMED: the process, or another version of this, says otherwise. */
function fromFacts(
  identity: ProcessIdentity,
  source: 'socket' | 'inspector',
  { text, takenAtMs }: { readonly text: string; readonly takenAtMs: number },
): Explanation {
  try {
    return inside(identity, source, { facts: JSON.parse(text) as InsideFacts, takenAtMs });
  } catch (cause) {
    if (isMemdriftError(cause)) throw cause;
    throw new MemdriftError(
      'ERR_MALFORMED',
      `process ${identity.pid} sent what are no facts of it: ${(cause as Error).message}`,
      { pid: identity.pid, cause },
    );
  }
}

function inside(
  identity: ProcessIdentity,
  source: 'self' | 'socket' | 'inspector',
  { facts, takenAtMs }: { readonly facts: InsideFacts; readonly takenAtMs: number },
): Explanation {
  return {
    ...headOf(identity, takenAtMs),
    options: { outside: false },
    nodeVersion: facts.nodeVersion,
    source,
    sourceReason: null,
    isNode: true,
    // At its socket it is tracked already; of itself it is not known whether others can enter it.
    tracking: { attach: source === 'inspector', run: true },
    pauseMs: facts.pauseMs ?? null,
    deep: facts.deep ?? null,
    ...explainInside(facts, contextOf(source === 'self' ? -1 : identity.pid)),
  };
}

function fromOutside(
  identity: ProcessIdentity,
  sourceReason: string,
  options: ExplainOptions,
): Explanation {
  const { pid } = identity;
  const isAsked = options.outside === true;
  const native = binding();
  const takenAtMs = Date.now();
  const vmRssBytes = readCounters(pid).rssBytes;
  const mappings = insideFacts().mappingFacts(native.procRead(pid, 'smaps', false));
  const threadBlocks = native.threadBlocks(pid);
  const node = pid === process.pid ? true : isNode(identity);
  const outside = { mappings, vmRssBytes, threadBlocks, isNode: node };
  const pages = explainOutside(outside, contextOf(pid));
  if (pid !== process.pid) checkSame(identity);
  return {
    ...headOf(identity, takenAtMs),
    options: { outside: isAsked },
    nodeVersion: null,
    source: 'outside',
    sourceReason,
    isNode: node,
    tracking: { attach: isAsked && canEnter(pid, options), run: node === true },
    pauseMs: null,
    deep: null,
    ...pages,
  };
}

/** Whether it could have been asked from within. */
function canEnter(pid: number, options: ExplainOptions): boolean {
  if (pid === process.pid) return false;
  try {
    checkTarget(pid, [bindingFile()]);
    provenTarget(pid, options);
    return true;
  } catch {
    return false;
  }
}

function contextOf(pid: number): PagesContext {
  return {
    ownFile: bindingFile(),
    residentIn: (ranges) => binding().residentIn(pid, ranges),
    pid: pid === -1 ? 'self' : pid,
  };
}

function headOf({ pid, name, startTimeTicks }: ProcessIdentity, takenAtMs: number) {
  return { schemaVersion: 1, pid, name, startTimeTicks, takenAtMs } as const;
}
