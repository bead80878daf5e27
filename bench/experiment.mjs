// The whole experiment, ours in four settings and on Ray in four, one after the other on an idle
// machine: takes about six minutes. `--small` shrinks it to a minute, to see that everything runs.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const title = 'the experiment, ours and on Ray';

const execute = promisify(execFile);
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const full = { clients: 10, rounds: 20, workMs: 1000, arraySize: 100e6, storeBytes: 10e9 };
const small = { clients: 3, rounds: 5, workMs: 400, arraySize: 10e6, storeBytes: 400e6 };

const ourSettings = [
  { label: 'rotate', flags: ['--placement', 'rotate'], sampleMs: 100 },
  { label: 'rotate, trim', flags: ['--placement', 'rotate', '--trim'], sampleMs: 100 },
  { label: 'lowest', flags: [], sampleMs: 100 },
  { label: 'lowest, trim', flags: ['--trim'], sampleMs: 100 },
  { label: 'lowest, hardly sampled', flags: [], sampleMs: 2000 },
];
const raySettings = [
  { label: 'Ray, numpy, hardly sampled', array: 'numpy', sampleMs: 2000 },
  { label: 'Ray, numpy', array: 'numpy', sampleMs: 100 },
  { label: 'Ray, bytearray, hardly sampled', array: 'bytearray', sampleMs: 2000 },
  { label: 'Ray, bytearray', array: 'bytearray', sampleMs: 100 },
];

function trafficFlags(size) {
  return [
    ...['--clients', size.clients, '--rounds', size.rounds, '--work-ms', size.workMs],
    ...['--array-size', size.arraySize, '--obj-store-mem', size.storeBytes],
  ].map(String);
}

/** What both sides can say, under one set of names; null where one of them cannot. */
function summary(report, server) {
  return {
    wallMs: report.wallMs,
    totals: report.totals,
    footprintBytes: report.footprint.peakBytes,
    sumRssThenBytes: report.footprint.sumRssBytesThen ?? null,
    liveBytes: report.store.liveBytesPeak,
    arenaBytes: report.store.arenaBytesPeak ?? null,
    residentBytes: report.store.residentBytesPeak,
    observerMs: report.observer.cpuMs,
    serverAnonBytes: server.peak.rssAnonBytes,
    completed: report.completed,
  };
}

async function runOurs(setting, size, folder) {
  const file = join(folder, 'report.json');
  const flags = ['--tmp-dir', folder, '--json', file, '--quiet', ...setting.flags];
  const args = [main, ...trafficFlags(size), '--sample-ms', String(setting.sampleMs), ...flags];
  // A capture folder that must be empty is not wanted in this repository: run in the folder.
  await execute(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26, timeout: 600_000 });
  const report = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  const server = report.processes.find((one) => one.role === 'server');
  return { label: setting.label, ...summary(report, server) };
}

async function runRay(setting, size, { context, folder }) {
  const args = [...trafficFlags(size), '--array', setting.array, '--sample-ms', setting.sampleMs];
  const report = await context.python('ray_experiment.py', [...args, '--tmp-dir', folder]);
  const server = report.processes.find((one) => one.label === 'Server');
  return { label: setting.label, startupMs: report.startupMs, ...summary(report, server) };
}

const gigabytes = (bytes) => (typeof bytes === 'number' ? (bytes / 1e9).toFixed(2) : '-');
const times = (a, b) => (typeof a === 'number' && b > 0 ? (a / b).toFixed(2) : '-');

/** The table of README.md. */
function markdown(runs) {
  const head = [
    ...['run', 'wall s', 'sum RSS GB', 'sum PSS GB', 'sum USS GB', 'sum SHR GB', 'footprint GB'],
    ...['sum RSS / footprint', 'store live GB', 'arena GB', 'resident GB', 'resident / live'],
    ...['observer CPU s', 'server RssAnon MB'],
  ];
  const rows = runs.map((run) => [
    run.completed ? run.label : `${run.label} (not completed)`,
    (run.wallMs / 1000).toFixed(1),
    ...['rssBytes', 'pssBytes', 'ussBytes', 'sharedBytes'].map((name) =>
      gigabytes(run.totals[name]),
    ),
    gigabytes(run.footprintBytes),
    times(run.totals.rssBytes, run.footprintBytes),
    ...[run.liveBytes, run.arenaBytes, run.residentBytes].map(gigabytes),
    times(run.residentBytes, run.liveBytes),
    (run.observerMs / 1000).toFixed(2),
    typeof run.serverAnonBytes === 'number' ? (run.serverAnonBytes / 1e6).toFixed(0) : '-',
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function ourRows(context, { ours, rival, size }) {
  // What is small is mostly start-up: nothing to hold a budget against.
  const budgeted = (budget) => (context.small ? undefined : budget);
  const [rotate, rotateTrim, lowest, lowestTrim, hardly] = ours;
  const floorMs = size.rounds * size.workMs;
  const rivalName = rival?.label;
  const seconds = { unit: 's', rivalName };
  const rivalSeconds = rival ? rival.wallMs / 1000 : null;
  for (const run of [lowest, hardly]) {
    const budget = budgeted({ atMost: (1.15 * floorMs) / 1000 });
    const what = `wall time: ${run.label}`;
    context.row({ what, ours: run.wallMs / 1000, rival: rivalSeconds, ...seconds, budget });
  }
  context.row({
    what: 'store: resident / live at the peak',
    ours: lowest.residentBytes / lowest.liveBytes,
    rival: rival ? rival.residentBytes / rival.liveBytes : null,
    rivalName,
    budget: budgeted({ atMost: 1.15 }),
  });
  context.row({
    what: 'RssAnon of the server at its peak',
    ours: Math.max(...ours.map((run) => run.serverAnonBytes)) / 1e6,
    rival: rival ? rival.serverAnonBytes / 1e6 : null,
    rivalName,
    unit: 'MB',
    budget: budgeted({ atMost: 60 }),
  });
  const counted = (run) => run.totals.rssBytes / run.footprintBytes;
  const same = 'sum of RSS peaks / footprint peak';
  const five = budgeted({ atLeast: 5 });
  const two = budgeted({ atMost: 2 });
  context.row({ what: `${same}: rotate`, ours: counted(rotate), budget: five });
  context.row({ what: `${same}: rotate, trim`, ours: counted(rotateTrim), budget: two });
  for (const [a, b] of [
    [rotateTrim, rotate],
    [lowestTrim, lowest],
  ]) {
    const pair = { ours: a.wallMs / 1000, rival: b.wallMs / 1000, rivalName: 'no trim' };
    const budget = budgeted(1.1);
    context.row({ what: `what trim costs: ${b.label}`, ...pair, unit: 's', budget });
  }
}

export async function run(context) {
  const size = context.small ? small : full;
  const folder = mkdtempSync(join(tmpdir(), 'md-'));
  try {
    const ours = [];
    for (const setting of ourSettings) ours.push(await runOurs(setting, size, folder));
    const rays = [];
    const missing = await context.pythonHas('ray', 'psutil', 'numpy');
    if (missing.length > 0) {
      context.skip('Ray', `${context.pythonPath} has no ${missing.join(', ')}`);
    } else {
      for (const setting of raySettings) {
        rays.push(await runRay(setting, size, { context, folder }));
      }
    }
    ourRows(context, { ours, rival: rays[0] ?? null, size });
    context.text(markdown([...ours, ...rays]));
    for (const one of rays) {
      context.text(`${one.label}: ${(one.startupMs / 1000).toFixed(1)} s of start-up left out.`);
    }
    context.text('Ours: start-up and end of all processes included.');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
