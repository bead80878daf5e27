// What it costs to record every allocation under its JavaScript and native stack: per event,
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const title = 'recording every allocation';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

function compile(folder, source, to) {
  const headers = file('../node_modules/node-api-headers/include');
  const flags = ['-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-I', headers];
  const path = join(folder, to);
  execFileSync('cc', [...flags, file(source), '-o', path, '-lpthread', '-ldl']);
  return path;
}

/** The last line that is an object: heaptrack prints its own after the program's. */
function json(output) {
  return JSON.parse(
    output
      .trim()
      .split('\n')
      .findLast((line) => line.startsWith('{')),
  );
}

function load(place, kind, { node = [], under = [] } = {}) {
  const script = [file('tracker_load.mjs'), place.addon, place.folder, kind];
  const [command, ...args] = [...under, process.execPath, ...node, ...script];
  return json(execFileSync(command, args, { encoding: 'utf8', cwd: place.folder }));
}

/** Of malloc and free both. */
const perEvent = ({ plain, tracked }) => (tracked - plain) / 2;

function heaptrack(context, place) {
  try {
    const { plain } = load(place, 'plain');
    const under = ['heaptrack', '-o', join(place.folder, 'heaptrack')];
    return (load(place, 'plain', { under }).plain - plain) / 2;
  } catch {
    context.skip('heaptrack', 'it is not installed');
    return null;
  }
}

async function memray(context, place) {
  const missing = await context.pythonHas('memray');
  if (missing.length > 0) {
    context.skip('memray', 'it is not installed');
    return null;
  }
  return context.python('memray_loop.py', [place.object, '1000000'], { timeoutMs: 300_000 });
}

function manyStacks(context, place, rival) {
  const budget = { atMost: 60 };
  const ways = { optimised: [], 'baseline code': ['--no-opt', '--no-maglev'] };
  for (const [name, node] of Object.entries(ways)) {
    const ours = perEvent(load(place, 'many', { node }));
    const what = `an event, 64 stacks of 5 to 40 functions, ${name}`;
    context.row({
      what,
      ours,
      rival: rival?.native ?? null,
      rivalName: 'memray --native',
      unit: 'ns',
      budget,
    });
  }
}

function threads(context, place) {
  const one = load(place, 'thread');
  const two = load(place, 'threads');
  // How much more two threads do than one, tracked, over the same untracked.
  const ours = one.tracked / two.tracked / (one.plain / two.plain);
  context.row({
    what: 'two threads over one, tracked / untracked',
    ours,
    rival: null,
    lowerIsBetter: false,
    budget: { atLeast: 0.85 },
    note: `${two.stats.droppedRecords} dropped`,
  });
}

function server(context, place) {
  const { plain, tracked, stats } = load(place, 'http');
  context.row({
    what: 'an HTTP request',
    ours: tracked / 1e3,
    rival: plain / 1e3,
    rivalName: 'untracked',
    unit: 'us',
  });
  context.row({
    what: 'capture of the server, bytes per event',
    ours: stats.fileBytes / stats.events,
    rival: 4.7,
    rivalName: 'memray, as its authors measured',
    budget: { atMost: 4 },
    note: `${stats.events} events, ${stats.droppedRecords} dropped`,
  });
}

export async function run(context) {
  const folder = mkdtempSync(join(tmpdir(), 'memdrift-bench-'));
  try {
    const addon = compile(folder, '../test/native/ground_truth.c', 'ground_truth.node');
    const object = compile(folder, '../test/fixtures/tracked/object.c', 'object.so');
    const place = { folder, addon, object };
    const rival = await memray(context, place);
    const one = perEvent(load(place, 'one'));
    const row = (more) =>
      context.row({ what: 'an event, one stack', ours: one, unit: 'ns', ...more });
    row({ rival: rival?.plain ?? null, rivalName: 'memray, Python stacks only' });
    row({ rival: rival?.native ?? null, rivalName: 'memray --native' });
    row({ rival: heaptrack(context, place), rivalName: 'heaptrack' });
    context.row({
      what: 'an event, hooks and record alone',
      ours: perEvent(load(place, 'hooks')),
      rival: rival?.plain ?? null,
      rivalName: 'memray, Python stacks only',
      unit: 'ns',
      budget: { atMost: 12 },
    });
    manyStacks(context, place, rival);
    threads(context, place);
    server(context, place);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
