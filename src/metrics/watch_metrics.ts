/** The figures of a running watch as Prometheus has them: read when they are asked for. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { WatchNow } from '../watch/watch.ts';
import type { ViewName } from '../watch/watch_model.ts';

export interface WatchFigures {
  /** Null: there was no sample yet. */
  readonly now: () => WatchNow | null;
  readonly limitBytes: number | null;
  readonly version: string;
}

/**
 * Names are the processes' own, and a process may take a new one each second: so many are told
 * apart, the largest, and the rest is one series.
 */
const mostNames = 30;
const otherNames = '(other)';

/** Each a metric of its own: a sum over them would say nothing. */
const viewMetrics: Readonly<Record<ViewName, readonly [name: string, help: string]>> = {
  sumRss: ['sum_rss', 'Sum of RSS, which has shared pages once for each process'],
  sumPss: ['sum_pss', 'Sum of PSS, estimated between two reads of smaps'],
  footprint: ['footprint', 'Physical memory, each page once, estimated between two reads of smaps'],
  slurmDefault: ['slurm_default', "What SLURM's jobacct_gather/linux would see"],
  slurmNoShared: ['slurm_no_shared', 'What SLURM would see with NoShared'],
  slurmUsePss: ['slurm_use_pss', 'What SLURM would see with UsePss'],
  slurmCgroup: ['slurm_cgroup', "What SLURM's jobacct_gather/cgroup would see"],
  cgroup: ['cgroup', 'What the cgroup is charged'],
};

/** Whoever asks for the text of it gets what is known by then; what is not known has no series. */
export function watchRegistry(figures: WatchFigures): Registry {
  const registry = new Registry();
  addGroup(registry, figures);
  addNames(registry, figures);
  addWatch(registry, figures);
  return registry;
}

function addGroup(registry: Registry, { now, limitBytes }: WatchFigures): void {
  const registers = [registry];
  for (const view of Object.keys(viewMetrics) as ViewName[]) {
    const [name, help] = viewMetrics[view];
    const set = (gauge: Gauge, bytes: number | null | undefined): void => {
      gauge.remove();
      if (bytes != null) gauge.set(bytes);
    };
    new Gauge({
      name: `memdrift_group_${name}_bytes`,
      help: `${help}: of the watched processes together, now.`,
      registers,
      collect() {
        set(this, now()?.views[view]);
      },
    });
    new Gauge({
      name: `memdrift_group_${name}_peak_bytes`,
      help: `${help}: the highest of all samples since the watch began.`,
      registers,
      collect() {
        set(this, now()?.peaks()[view].peakBytes);
      },
    });
  }
  addBounds(registry, now);
  if (limitBytes !== null)
    new Gauge({
      name: 'memdrift_group_limit_bytes',
      help: 'The limit that was given by --limit.',
      registers,
    }).set(limitBytes);
  new Counter({
    name: 'memdrift_group_processes_ended_early_total',
    help: 'Processes that ended before a sample saw them, at least so many.',
    registers,
    collect() {
      this.reset();
      this.inc(now()?.sample.endedEarly.atLeast ?? 0);
    },
  });
}

/** Adds the bounds of PSS and footprint at each sample. */
function addBounds(registry: Registry, now: WatchFigures['now']): void {
  const registers = [registry];
  const figures = { pss: 'sum_pss', footprint: 'footprint' } as const;
  for (const [figure, name] of Object.entries(figures) as [keyof typeof figures, string][])
    for (const [end, what] of ['low', 'high'].entries())
      new Gauge({
        name: `memdrift_group_${name}_${what}_bytes`,
        help: `The ${what} bound of ${viewMetrics[figure === 'pss' ? 'sumPss' : figure][0]}, now.`,
        registers,
        collect() {
          this.remove();
          const look = now();
          if (look?.views[figure === 'pss' ? 'sumPss' : figure] != null)
            this.set(look.sample.group[figure].rangeBytes[end] as number);
        },
      });
  new Gauge({
    name: 'memdrift_group_read_timestamp_seconds',
    help: 'Start of the read of smaps that the bounds are based on.',
    registers,
    collect() {
      this.remove();
      const look = now();
      const atMs = look?.sample.group.readAtMs;
      if (look && atMs != null) this.set((look.startedAtMs + atMs) / 1000);
    },
  });
}

interface NameSums {
  count: number;
  anon: number;
  file: number;
  shmem: number;
  /** Null: not known of one of them. */
  pss: number | null;
}

function addNames(registry: Registry, { now }: WatchFigures): void {
  const registers = [registry];
  const labelNames = ['name'] as const;
  new Gauge({
    name: 'memdrift_processes',
    help: 'Watched processes, by name.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [name, { count }] of sumsByName(now())) this.set({ name }, count);
    },
  });
  new Gauge({
    name: 'memdrift_process_resident_memory_bytes',
    help: 'RSS of all processes with a name, by what it is of; shared pages once for each process.',
    labelNames: ['name', 'type'],
    registers,
    collect() {
      this.reset();
      for (const [name, sums] of sumsByName(now()))
        for (const type of ['anon', 'file', 'shmem'] as const) this.set({ name, type }, sums[type]);
    },
  });
  new Gauge({
    name: 'memdrift_process_proportional_memory_bytes',
    help: 'PSS of all processes with a name, estimated between two reads of smaps.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [name, { pss }] of sumsByName(now())) if (pss !== null) this.set({ name }, pss);
    },
  });
}

/** By the names that a label can have, the largest first. */
function sumsByName(now: WatchNow | null): ReadonlyMap<string, NameSums> {
  const byName = new Map<string, NameSums>();
  for (const process of now?.sample.processes ?? []) {
    if (!now?.isInGroup(process.pid)) continue;
    const { rssAnonBytes, rssFileBytes, rssShmemBytes, pssBytes } = process;
    const parts = { anon: rssAnonBytes ?? 0, file: rssFileBytes ?? 0, shmem: rssShmemBytes ?? 0 };
    add(byName, labelOf(process.name), { count: 1, ...parts, pss: pssBytes });
  }
  const rss = ([, { anon, file, shmem }]: [string, NameSums]): number => anon + file + shmem;
  const sorted = [...byName].sort((a, b) => rss(b) - rss(a));
  const kept = new Map(sorted.slice(0, mostNames));
  for (const [, sums] of sorted.slice(mostNames)) add(kept, otherNames, sums);
  return kept;
}

function add(to: Map<string, NameSums>, name: string, more: NameSums): void {
  const sums = to.get(name);
  if (sums === undefined) {
    to.set(name, { ...more });
    return;
  }
  sums.count += more.count;
  sums.anon += more.anon;
  sums.file += more.file;
  sums.shmem += more.shmem;
  sums.pss = sums.pss === null || more.pss === null ? null : sums.pss + more.pss;
}

/** As in every text of ours: what a terminal would obey is no part of a name. */
function labelOf(name: string): string {
  return name.replace(/[\p{C}\u2028\u2029]/gu, '?');
}

/** The watch itself, by the names that every exporter has. */
function addWatch(registry: Registry, { now, version }: WatchFigures): void {
  const registers = [registry];
  new Gauge({
    name: 'memdrift_build_info',
    help: 'Always 1; which memdrift it is.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  new Gauge({
    name: 'memdrift_last_sample_timestamp_seconds',
    help: 'When the figures were sampled.',
    registers,
    collect() {
      this.remove();
      const look = now();
      if (look !== null) this.set((look.startedAtMs + look.sample.atMs) / 1000);
    },
  });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of memdrift watch itself.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'RSS of memdrift watch itself.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When memdrift watch was started, in seconds since 1970.',
    registers,
  }).set(performance.timeOrigin / 1000);
}
