// The other process of sampling.mjs: one kind of work, with and without samples in turn. argv: the
// addon, the folder for captures, the work, and the rival's module where it is the rival that
// samples. Prints the median time with over that without, and ns without.
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { Tracker } from '../dist/index.js';
import { http } from './http_load.mjs';

const [addon, folder, kind, rival] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const truth = require(addon);
const sampleBytes = 512 << 10;
const turns = kind === 'http' ? 20 : 40;

const rows = Array.from({ length: 1000 }, (_, id) => ({ id, name: `row ${id}`, tags: ['a', 'b'] }));
const text = JSON.stringify(rows);
const bytes = Buffer.from(text.repeat(20));

const timed = (run) => () => {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start);
};
const times = (count, run) =>
  timed(() => {
    for (let i = 0; i < count; i++) run();
  });
const pairs = 3_000_000;
const works = {
  json: times(100, () => JSON.parse(JSON.stringify(rows))),
  zlib: times(3, () => deflateSync(bytes)),
  buffers: times(100_000, () => Buffer.allocUnsafeSlow(10_000)),
  pairs: () => truth.loop(pairs, 64),
};

function startRival() {
  const { heap } = require(rival);
  heap.start(sampleBytes, 64);
  return () => heap.stop();
}

function startOurs() {
  const path = join(folder, 'sampled.mdc');
  rmSync(path, { force: true });
  const tracker = new Tracker(path, { sampleBytes });
  return () => tracker.stop();
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const { work, end } = kind === 'http' ? await http() : { work: works[kind], end: () => {} };
for (let i = 0; i < 5; i++) await work();
const sampled = [];
const plain = [];
async function turn(samples, times) {
  const stop = !samples ? () => {} : rival ? startRival() : startOurs();
  times.push(await work());
  await stop();
}
// In both orders: collections of garbage come at every second or third turn.
for (let i = 0; i < turns; i++) {
  const order = [
    [false, plain],
    [true, sampled],
  ];
  for (const [samples, times] of i % 2 ? order : order.toReversed()) await turn(samples, times);
}
end();
const perPairNs = kind === 'pairs' ? median(plain) / pairs : null;
console.log(JSON.stringify({ ratio: median(sampled) / median(plain), perPairNs }));
