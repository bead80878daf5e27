/** `memdrift watch`: what a command and its tree have used, and what schedulers will say of it. */
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { MemdriftError } from '../errors.ts';
import { type Ended, endLike, startFailureCode } from '../launch/ending.ts';
import { Launched } from '../launch/launched.ts';
import type { MetricsServer } from '../metrics/metrics_server.ts';
import { readCounters } from '../proc/counters.ts';
import { counted, megabytesWithUnit, seconds } from '../report/units.ts';
import { watchText } from '../report/watch_text.ts';
import { maskedArguments } from '../secrets.ts';
import { CgroupEye } from '../watch/cgroup_eye.ts';
import { slurmConfig, slurmPlace } from '../watch/slurm_place.ts';
import { targetsOf } from '../watch/targets.ts';
import { Watch, type WatchHooks } from '../watch/watch.ts';
import { openLog, WatchLog } from '../watch/watch_log.ts';
import type { Proctrack, WatchOptions, WatchReport } from '../watch/watch_model.ts';
import { listen, serve } from './metrics.ts';
import { writeOutput } from './output.ts';
import { exitCodes, writeError } from './program.ts';
import { ProgressLine } from './progress.ts';
import { bytesOf, numberOf, pidOf } from './values.ts';

interface WatchFlags {
  readonly limit?: string;
  readonly interval?: string;
  readonly budget?: string;
  readonly out?: string;
  readonly json?: string;
  readonly slurmFrequency?: string;
  readonly slurmProctrack?: string;
  readonly commandLine: boolean;
  readonly pid?: readonly string[];
  readonly cgroup?: string;
  readonly slurm?: string;
  readonly duration?: string;
  readonly prometheus?: string;
}

/** What is done with each sample costs about as much again for a dozen processes. */
const defaultBudgetPercent = 0.6;

/** Adds `memdrift watch`; it ends with the command's own exit code. */
export function registerWatch(program: Command): void {
  program
    .command('watch')
    .description('run a command, or attach, and say what its processes use and what kills them')
    .argument('[command...]', 'what to run; after -- if it has options')
    .option('--limit <size>', 'which views pass it: bytes, or with K, M, G, T of 1024')
    .option('--interval <ms>', 'between two samples (default: 100)')
    .option('--budget <percent>', 'of one core, for the reading of /proc (default: 0.6)')
    .option('--out <file>', 'log of all samples; DIR/ for a file per host and watch in it')
    .option('--json <file>', 'peaks, views and verdicts as JSON')
    .option('--slurm-frequency <s>', 'JobAcctGatherFrequency (default: of slurm.conf, or 30)')
    .option('--slurm-proctrack <type>', 'cgroup, linuxproc or pgid (default: of slurm.conf)')
    .option('--prometheus <address>', 'serve the figures: :PORT, or HOST:PORT; :0 for a free one')
    .option('--no-command-line', "log and report the command's name, not its arguments")
    .option('--pid <pid...>', 'attach to these and their descendants')
    .option('--cgroup <path>', 'attach to the processes of a cgroup')
    .option('--slurm <jobid>', 'attach to the steps of a job on this host')
    .option('--duration <s>', 'attached: end after so long (default: when all have ended)')
    .passThroughOptions()
    .action(async (command: string[], flags: WatchFlags) => {
      // At ten samples a second V8's optimiser takes more than its code would give back.
      setFlagsFromString('--no-opt');
      process.exitCode = await watch(command, flags);
    });
}

async function watch(command: string[], flags: WatchFlags): Promise<number> {
  const attaches = [flags.pid, flags.cgroup, flags.slurm].filter((one) => one !== undefined);
  if (attaches.length + (command.length > 0 ? 1 : 0) !== 1) {
    const message = 'nothing to watch: give one of a command, --pid, --cgroup and --slurm';
    throw new MemdriftError('ERR_INVALID', message);
  }
  const settings = settingsOf(flags);
  if (flags.json !== undefined) checkFolder(flags.json);
  const metrics = flags.prometheus === undefined ? null : await listen(flags.prometheus);
  try {
    const log = flags.out === undefined ? null : openLog(flags.out);
    const run = { flags, settings, log, metrics };
    return await (command.length > 0 ? watchCommand(command as [string], run) : attach(run));
  } finally {
    metrics?.close();
  }
}

type Settings = Omit<WatchOptions, 'roots' | 'command'>;

interface Run {
  readonly flags: WatchFlags;
  readonly settings: Settings;
  readonly log: { readonly file: string; readonly fd: number } | null;
  readonly metrics: MetricsServer | null;
}

function settingsOf(flags: WatchFlags): Settings {
  const config = slurmConfig(process.env);
  const frequency = numberOf('--slurm-frequency', flags.slurmFrequency, [0.1, 86_400]);
  return {
    intervalMs: numberOf('--interval', flags.interval, [10, 3_600_000]) ?? 100,
    budgetPercent: numberOf('--budget', flags.budget, [0, 100]) ?? defaultBudgetPercent,
    slurmFrequencyMs: frequency === null ? config.frequencyMs || 30_000 : frequency * 1000,
    proctrack: proctrackOf(flags.slurmProctrack) ?? config.proctrack ?? 'cgroup',
    limitBytes: flags.limit === undefined ? null : bytesOf('--limit', flags.limit),
    mark: `MEMDRIFT_WATCH=${process.pid}.${randomBytes(8).toString('hex')}`,
  };
}

function proctrackOf(text: string | undefined): Proctrack | null {
  if (text === undefined) return null;
  if (text === 'cgroup' || text === 'linuxproc' || text === 'pgid') return text;
  const message = `--slurm-proctrack "${text}" is none of cgroup, linuxproc and pgid.`;
  throw new MemdriftError('ERR_INVALID', message);
}

async function watchCommand(command: [string, ...string[]], run: Run): Promise<number> {
  const [variable, value] = run.settings.mark.split('=') as [string, string];
  // Loads what is native, so that the first sample is not long after the start.
  readCounters('self');
  const launched = new Launched(command, { ...process.env, [variable]: value });
  let pid: number;
  try {
    pid = await launched.started();
  } catch (error) {
    writeError(`cannot run ${command[0]}: ${(error as Error).message}`);
    dropLog(run.log);
    return startFailureCode(error);
  }
  const slurm = slurmPlace(process.env);
  const told = run.flags.commandLine ? command : command.slice(0, 1);
  const roots = [slurm?.taskPid ?? pid];
  const watching = new Watching(run, { roots, command: told, slurm }, launched);
  const ended = await launched.ended;
  await watching.finish(ended);
  run.metrics?.close();
  return endLike(ended);
}

async function attach(run: Run): Promise<number> {
  const { flags } = run;
  const duration = numberOf('--duration', flags.duration, [0.1, 1e9]);
  const find = targetsOf({ ...flags, pids: flags.pid?.map(pidOf) });
  const roots = find();
  if (roots.length === 0) {
    const message = 'nothing to watch: no process of it is on this host';
    throw new MemdriftError('ERR_GONE', message);
  }
  const watching = new Watching(run, { roots, command: null, slurm: null });
  const known = new Set(roots);
  const again = setInterval(() => {
    for (const pid of find().filter((one) => !known.has(one))) {
      known.add(pid);
      watching.watch.addRoot(pid);
    }
  }, 1000);
  const ends = [watching.watch.whenEmpty(), interrupted()];
  if (duration !== null) ends.push(setTimeout(duration * 1000, undefined, { ref: false }));
  await Promise.race(ends);
  clearInterval(again);
  await watching.finish(null);
  return exitCodes.ok;
}

/** A person who attached has seen enough. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}

/** A watch with what is shown of it, and where. */
class Watching {
  readonly watch: Watch;
  readonly #run: Run;
  readonly #progress: ProgressLine | null;
  readonly #timer: NodeJS.Timeout;

  constructor(
    run: Run,
    target: Pick<WatchOptions, 'roots' | 'command'> & Pick<WatchHooks, 'slurm'>,
    launched: Launched | null = null,
  ) {
    const { roots, command, slurm = null } = target;
    const folder = run.flags.cgroup;
    const place = folder === undefined ? { pid: roots[0] as number } : { folder };
    const cgroup = CgroupEye.open(
      place,
      new Set([...roots, process.pid, launched?.helperPid ?? process.pid]),
    );
    this.#run = run;
    const log = run.log && new WatchLog(run.log.fd, (error) => this.#logFailed(error));
    const isHelper = launched?.isHelper.bind(launched);
    const hooks = { log, slurm, cgroup, ...(isHelper && { isHelper }) };
    this.watch = new Watch({ ...run.settings, roots, command }, hooks);
    if (run.metrics !== null) void serve(run.metrics, this.watch, run.settings);
    this.#progress = process.stderr.isTTY ? new ProgressLine(process.stderr) : null;
    this.#timer = setInterval(() => this.#show(), 1000);
  }

  async finish(exit: Ended | null): Promise<void> {
    clearInterval(this.#timer);
    const report = await this.watch.stop(exit);
    this.#progress?.clear();
    const { flags, log } = this.#run;
    process.stderr.write(watchText(report));
    if (log !== null) process.stderr.write(`memdrift: log in ${log.file}\n`);
    if (flags.json !== undefined) writeReport(flags.json, report);
  }

  #show(): void {
    const now = this.watch.current();
    if (now === null) return;
    const count = counted(now.sample.processes.length, 'process');
    const { sumRss, footprint } = now.views;
    this.#progress?.show(
      `memdrift: ${seconds(now.sample.atMs)}, ${count}, sum of RSS ` +
        `${megabytesWithUnit(sumRss)}, footprint ${megabytesWithUnit(footprint)}`,
    );
  }

  #logFailed(error: Error): void {
    writeError(`${this.#run.log?.file} is cut short: ${error.message}`);
  }
}

/** Before hours of work, not after it. @throws MemdriftError ERR_SYSTEM */
function checkFolder(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (cause) {
    const message = `cannot write ${file}: ${(cause as Error).message}`;
    throw new MemdriftError('ERR_SYSTEM', message, { file, cause });
  }
}

/** Nothing was watched: no file that says so is left. */
function dropLog(log: Run['log']): void {
  if (log === null) return;
  closeSync(log.fd);
  unlinkSync(log.file);
}

function writeReport(file: string, report: WatchReport): void {
  const { command } = report.options;
  const options = { ...report.options, command: command && maskedArguments(command) };
  const text = JSON.stringify({ schemaVersion: 1, ...report, options }, null, 2);
  writeOutput(file, [`${text}\n`], { madeFrom: [], replaces: true });
}
