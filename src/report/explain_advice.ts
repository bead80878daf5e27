/**
 * Chooses what to say about a process whose memory has a cause that stands out. Each sentence is
 * one entry of a list: `bytes` are what it is about, and 0 where the facts do not support it.
 */
import type { Explanation } from '../drift/explain_model.ts';
import type { Growth } from '../drift/growth.ts';
import { type Advice, bytesOf, size, trackingText } from './advice_facts.ts';
import { mallocAdvices } from './malloc_advice.ts';
import { runtimeAdvices } from './runtime_advice.ts';
import { megabytesWithUnit } from './units.ts';

/** A cause stands out with this share of the sum, and this many bytes. */
const leastShare = 0.15;
const leastBytes = 16e6;
const mostSentences = 2;

const kernelAdvices: readonly Advice[] = [
  {
    name: 'shared memory',
    cause: 'shared-segment',
    bytes: (e) => bytesOf(e, 'shared-segment'),
    text: (e) =>
      `${size(e, 'shared-segment')} are shared memory: where other processes map it too, sums of ` +
      'RSS count it again in each; memdrift ps counts it once.',
  },
  {
    name: 'mapped files',
    cause: 'file-data',
    bytes: (e) => bytesOf(e, 'file-data'),
    text: (e) =>
      `${size(e, 'file-data')} are pages of mapped files: page cache, which the kernel takes ` +
      'back when it needs room; nothing that the program allocated.',
  },
  {
    name: 'copies of file pages',
    cause: 'file-private',
    bytes: (e) => bytesOf(e, 'file-private'),
    text: (e) =>
      `${size(e, 'file-private')} are pages of mapped files that the process has written to: ` +
      'copies of its own, which the kernel cannot drop, unlike page cache.',
  },
  {
    name: 'native mappings',
    cause: 'unexplained',
    bytes: (e) => (e.isNode && e.source !== 'outside' ? e.unexplainedBytes : 0),
    text: (e) =>
      `${megabytesWithUnit(e.unexplainedBytes)} are anonymous mappings of neither malloc nor V8` +
      `${trackingText(e, 'shows which functions map')}.`,
  },
  {
    name: 'huge pages',
    cause: null,
    // An attribute of other rows' pages: named when it is most of them.
    bytes: ({ beside, rssBytes }) =>
      beside.anonHugePagesBytes > rssBytes / 2 ? beside.anonHugePagesBytes : 0,
    text: ({ beside }) =>
      `${megabytesWithUnit(beside.anonHugePagesBytes)} are in transparent huge pages, of which ` +
      'one touched byte makes 2 MiB resident: where /sys/kernel/mm/transparent_hugepage/enabled ' +
      'is madvise, only programs that ask for them have them.',
  },
  {
    name: 'swapped out',
    cause: null,
    bytes: ({ beside }) => beside.swapBytes,
    text: ({ beside }) =>
      `${megabytesWithUnit(beside.swapBytes)} more are swapped out, and in no row above.`,
  },
];

/** Every sentence that can be said. */
export const advices: readonly Advice[] = [...mallocAdvices, ...runtimeAdvices, ...kernelAdvices];

/**
 * Returns sentences about the cause that grew most between two explanations: its growth, its rate,
 * and the later explanation's advice.
 */
export function growthAdviceOf(
  { causes, bytes, before, after }: Growth,
  now: Explanation,
): string[] {
  const [most] = causes;
  const leastGrowth = Math.max(1e6, leastShare * Math.abs(bytes));
  if (most === undefined || most.bytes < leastGrowth) return ['No cause grew by much.'];
  const seconds = (after.takenAtMs - before.takenAtMs) / 1000;
  const rate = seconds > 0 ? `, ${megabytesWithUnit(most.bytes / seconds)} a second` : '';
  const advice = advices.find((one) => one.cause === most.cause && one.bytes(now) > 0);
  return [
    `${most.cause} grew most: by ${megabytesWithUnit(most.bytes)}${rate}. Two looks do not ` +
      'separate a leak from a growing cache: look again later.',
    ...(advice === undefined ? [] : [`Now ${advice.text(now)}`]),
  ];
}

/** The largest that stand out, at most two; never none. */
export function adviceOf(explanation: Explanation): string[] {
  const least = Math.max(leastBytes, leastShare * explanation.rssBytes);
  const standing = advices
    .map((advice) => ({ advice, bytes: advice.bytes(explanation) }))
    .filter(({ bytes }) => bytes >= least)
    .sort((a, b) => b.bytes - a.bytes);
  if (standing.length > 0) {
    return standing.slice(0, mostSentences).map(({ advice }) => advice.text(explanation));
  }
  const code = bytesOf(explanation, 'file-code');
  if (code >= explanation.rssBytes / 2) {
    return [
      `${megabytesWithUnit(code)} are the program and its libraries; no other cause stands out ` +
        'at this moment. explain --since shows growth.',
    ];
  }
  return ['No cause stands out at this moment; explain --since shows growth.'];
}
