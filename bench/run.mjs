// Runs the benches that are named, or all: see README.md beside this file.
import { readdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { createContext } from './context.mjs';

const folder = new URL('.', import.meta.url);
const notBenches = [
  'run.mjs',
  'context.mjs',
  'http_load.mjs',
  'sampling_load.mjs',
  'soak_bytes.mjs',
  'soak_client.mjs',
  'soak_store.mjs',
  'store_echo.mjs',
  'store_memdrift.mjs',
  'stopped_group.mjs',
  'store_worker.mjs',
  'watched_program.mjs',
  'tracker_load.mjs',
];
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.mjs') && !notBenches.includes(file))
  .map((file) => file.slice(0, -'.mjs'.length));

function formatted(value, unit = '') {
  if (typeof value !== 'number' || Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4;
  return `${value.toFixed(digits)}${unit ? ` ${unit}` : ''}`;
}

function cells(row) {
  if (row.skipped !== undefined) return [row.what, `skipped: ${row.skipped}`, '', '', '', ''];
  const verdict = row.within === null ? '' : row.within ? 'ok' : 'OVER';
  const rival = row.rivalName ? ` (${row.rivalName})` : '';
  return [
    row.note ? `${row.what} [${row.note}]` : row.what,
    formatted(row.ours, row.unit),
    `${formatted(row.rival, row.unit)}${typeof row.rival === 'number' ? rival : ''}`,
    row.ratio === null ? '-' : `${formatted(row.ratio)} x`,
    row.bound,
    verdict,
  ];
}

function printTable(rows) {
  const lines = [['what', 'ours', 'rival', 'ours / rival', 'budget', ''], ...rows.map(cells)];
  const fits = (line) => line[1].startsWith('skipped') === false;
  const widths = [0, 1, 2, 3, 4, 5].map((column) =>
    Math.max(...lines.filter((line) => column === 0 || fits(line)).map((l) => l[column].length)),
  );
  const rule = widths.map((width) => '-'.repeat(width));
  for (const line of [lines[0], rule, ...lines.slice(1)]) {
    process.stdout.write(`${line.map((cell, i) => cell.padEnd(widths[i])).join('  ')}`.trimEnd());
    process.stdout.write('\n');
  }
}

async function runBench(name) {
  const bench = await import(new URL(`${name}.mjs`, folder).href);
  const context = createContext({ small: values.small });
  process.stdout.write(`\n## ${name}: ${bench.title ?? ''}\n`);
  let error = null;
  try {
    await bench.run(context);
  } catch (thrown) {
    error = thrown;
  }
  if (context.rows.length > 0) printTable(context.rows);
  for (const text of context.texts) process.stdout.write(`\n${text}\n`);
  if (error) process.stdout.write(`FAILED: ${error.stack}\n`);
  return { name, rows: context.rows, texts: context.texts, failed: error !== null };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    check: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  process.stderr.write(
    `No bench is named ${unknown.join(', ')}; there are: ${known.join(', ')}.\n`,
  );
  process.exit(2);
}
const machine = {
  date: new Date().toISOString(),
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
};
process.stdout.write(
  `${machine.date}: ${machine.cpus} x ${machine.cpu}, ${machine.memoryGiB} GiB, ` +
    `Linux ${machine.kernel}, Node ${machine.node}\n`,
);
const results = [];
for (const name of positionals.length > 0 ? positionals : known) results.push(await runBench(name));
if (values.json) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ schemaVersion: 1, machine, results }, null, 2)}\n`,
  );
}
const missed = results
  .flatMap((result) => result.rows)
  .filter((row) => row.within === false).length;
process.stdout.write(`\n${missed === 0 ? 'no budget missed' : `${missed} budgets missed`}\n`);
if (results.some((result) => result.failed) || (values.check && missed > 0)) process.exitCode = 1;
