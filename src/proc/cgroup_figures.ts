import { parseBytes, parseFlatKeys, parseLimit } from './cgroup_text.ts';

/**
 * What a cgroup is charged, with what is beneath it. Null: this kernel or version does not tell it.
 * `anonBytes + fileBytes + shmemBytes + kernelBytes + socketBytes + restBytes` is `currentBytes`.
 */
export interface CgroupFigures {
  /** What counts against the limit. Null at version 2's root, which is not charged. */
  readonly currentBytes: number | null;
  /** The highest that currentBytes has been; version 2 tells it from Linux 5.19. */
  readonly peakBytes: number | null;
  /** Private pages; a page that processes share since a fork once. */
  readonly anonBytes: number | null;
  /** Of anonBytes: in transparent huge pages. */
  readonly anonHugeBytes: number | null;
  /** Page cache that this cgroup was the first to touch, mapped or not; shmem is not in it. */
  readonly fileBytes: number | null;
  /** Shared memory and files in tmpfs, once, also what nobody maps; the first to touch pays. */
  readonly shmemBytes: number | null;
  /** What the kernel has for it. */
  readonly kernelBytes: number | null;
  /** Of kernelBytes, as are the next three; version 1 tells the sum only. */
  readonly kernelStackBytes: number | null;
  readonly pageTableBytes: number | null;
  readonly slabReclaimableBytes: number | null;
  readonly slabUnreclaimableBytes: number | null;
  /** Buffers of sockets. Version 1 has a counter for them that is not in currentBytes: null. */
  readonly socketBytes: number | null;
  /**
   * currentBytes less all of the above: what a processor has charged in advance, counters that lag,
   * kinds that this kernel has no line for. Below 0 where pages that are also in swap count as file
   * and as anonymous. Null where a part is.
   */
  readonly restBytes: number | null;
  /** Page cache (not shmem) and slabs that the kernel takes back before it kills anybody. */
  readonly reclaimableBytes: number | null;
  /** Swapped out; not in currentBytes. */
  readonly swapBytes: number | null;
  /** Null: no limit, or version 1, whose limit is one of memory and swap together. */
  readonly swapLimitBytes: number | null;
  /** In memory and in swap at once. */
  readonly swapCachedBytes: number | null;
  /** How often an allocation met the limit; version 1: of this cgroup alone. */
  readonly limitHits: number | null;
  /** Processes that the kernel killed for it. Version 1 tells it from Linux 4.13. */
  readonly oomKills: number | null;
}

/** The text of one of the cgroup's files; null: it is not there. */
export type CgroupTexts = (file: string) => string | null;

/** Version 1 also tells the lowest limit of all above, also of what is not mounted. */
type WithLimit = CgroupFigures & { readonly hierarchicalLimitBytes: number | null };

/** @throws MemdriftError ERR_MALFORMED */
export function figuresOf(version: 1 | 2, texts: CgroupTexts): WithLimit {
  return version === 1 ? version1(texts) : version2(texts);
}

function sum(...parts: readonly (number | null)[]): number | null {
  return parts.reduce((all, part) => (all === null || part === null ? null : all + part), 0);
}

function minus(from: number | null, what: number | null): number | null {
  return from === null || what === null ? null : from - what;
}

function bytesIn(texts: CgroupTexts, file: string): number | null {
  const text = texts(file);
  return text === null ? null : parseBytes(text, file);
}

function keysIn(texts: CgroupTexts, file: string): (name: string) => number | null {
  const text = texts(file);
  const keys = text === null ? null : parseFlatKeys(text, file);
  return (name) => keys?.get(name) ?? null;
}

function version1(texts: CgroupTexts): WithLimit {
  const stat = keysIn(texts, 'memory.stat');
  const currentBytes = bytesIn(texts, 'memory.usage_in_bytes');
  const anonBytes = stat('total_rss');
  // Before Linux 4.14 there is no line for it, and cache has both.
  const shmemBytes = stat('total_shmem');
  const fileBytes = minus(stat('total_cache'), shmemBytes);
  const kernelBytes = bytesIn(texts, 'memory.kmem.usage_in_bytes');
  const limit = stat('hierarchical_memory_limit');
  return {
    currentBytes,
    peakBytes: bytesIn(texts, 'memory.max_usage_in_bytes'),
    anonBytes,
    anonHugeBytes: stat('total_rss_huge'),
    fileBytes,
    shmemBytes,
    kernelBytes,
    kernelStackBytes: null,
    pageTableBytes: null,
    slabReclaimableBytes: null,
    slabUnreclaimableBytes: null,
    socketBytes: null,
    restBytes: minus(currentBytes, sum(anonBytes, fileBytes, shmemBytes, kernelBytes)),
    reclaimableBytes: sum(stat('total_inactive_file'), stat('total_active_file')),
    swapBytes: stat('total_swap'),
    swapLimitBytes: null,
    swapCachedBytes: stat('total_swapcached'),
    limitHits: bytesIn(texts, 'memory.failcnt'),
    oomKills: keysIn(texts, 'memory.oom_control')('oom_kill'),
    hierarchicalLimitBytes: limit === null ? null : parseLimit(String(limit), 'memory.stat'),
  };
}

function version2(texts: CgroupTexts): WithLimit {
  const stat = keysIn(texts, 'memory.stat');
  const events = keysIn(texts, 'memory.events');
  const swapLimit = texts('memory.swap.max');
  const currentBytes = bytesIn(texts, 'memory.current');
  const parts = {
    anonBytes: stat('anon'),
    fileBytes: minus(stat('file'), stat('shmem')),
    shmemBytes: stat('shmem'),
    kernelBytes: kernelOf(stat),
    socketBytes: stat('sock'),
  };
  return {
    currentBytes,
    peakBytes: bytesIn(texts, 'memory.peak'),
    ...parts,
    anonHugeBytes: stat('anon_thp'),
    kernelStackBytes: stat('kernel_stack'),
    pageTableBytes: stat('pagetables'),
    slabReclaimableBytes: stat('slab_reclaimable'),
    slabUnreclaimableBytes: stat('slab_unreclaimable'),
    restBytes: minus(currentBytes, sum(...Object.values(parts))),
    reclaimableBytes: sum(stat('inactive_file'), stat('active_file'), stat('slab_reclaimable')),
    swapBytes: bytesIn(texts, 'memory.swap.current'),
    swapLimitBytes: swapLimit === null ? null : parseLimit(swapLimit, 'memory.swap.max'),
    swapCachedBytes: stat('swapcached'),
    limitHits: events('max'),
    oomKills: events('oom_kill'),
    hierarchicalLimitBytes: null,
  };
}

/** Linux 5.18 has a line for all of it; before, it is what has a line: stacks, slabs, and so on. */
function kernelOf(stat: (name: string) => number | null): number | null {
  const known = stat('kernel');
  if (known !== null) return known;
  const always = sum(stat('kernel_stack'), stat('slab_reclaimable'), stat('slab_unreclaimable'));
  return sum(always, stat('pagetables') ?? 0, stat('percpu') ?? 0);
}
