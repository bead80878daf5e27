// The other process of tracker.mjs: it does one kind of work, untracked and tracked in turn, and
// prints what each took. argv: the addon, the folder for captures, the kind.
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Tracker } from '../dist/index.js';
import { http } from './http_load.mjs';

const [addon, folder, kind] = process.argv.slice(2);
const truth = createRequire(import.meta.url)(addon);
const runs = 9;

/** Under `depth` functions of its own. */
function under(depth, number) {
  let made = new Function('truth', `truth.pair(64); // ${number}`);
  for (let i = 0; i < depth; i++) {
    made = new Function('f', `return function level_${number}_${i}(truth) { f(truth); }`)(made);
  }
  return made;
}

const stacks = Array.from({ length: 64 }, (_, i) => under(5 + Math.floor((i * 35) / 63), i));

function roundRobin(rounds) {
  const start = process.hrtime.bigint();
  for (let round = 0; round < rounds; round++) for (const call of stacks) call(truth);
  return Number(process.hrtime.bigint() - start) / rounds / stacks.length;
}

const perPair = 1_000_000;
const works = {
  // ns per malloc and free, under one stack.
  one: () => truth.loop(perPair, 64) / perPair,
  // The same, under 64 stacks of 5 to 40 functions, one after another.
  many: () => roundRobin(1000),
  // ns per pair of all threads together.
  // A thread without JavaScript and, as turns() has it, without native stacks.
  hooks: () => truth.inThreads(1, perPair, 64) / perPair,
  thread: () => truth.inThreads(1, perPair, 64) / perPair,
  threads: () => truth.inThreads(2, perPair, 64) / perPair / 2,
};

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function turns(work) {
  const plain = [];
  const tracked = [];
  let stats;
  for (let i = 0; i < 30; i++) work();
  for (let i = 0; i < runs; i++) {
    plain.push(await work());
    const path = join(folder, `${kind}.mdc`);
    rmSync(path, { force: true });
    const tracker = new Tracker(path, { nativeStacks: kind !== 'hooks' });
    await work();
    tracked.push(await work());
    stats = await tracker.stop();
  }
  return { plain: median(plain), tracked: median(tracked), stats };
}

if (kind === 'http') {
  const { work, end } = await http();
  for (let i = 0; i < 3; i++) await work();
  const path = join(folder, 'http.mdc');
  const plain = [];
  const tracked = [];
  let stats;
  for (let i = 0; i < 5; i++) {
    plain.push(await work());
    rmSync(path, { force: true });
    const tracker = new Tracker(path);
    await work();
    tracked.push(await work());
    stats = await tracker.stop();
  }
  end();
  console.log(JSON.stringify({ plain: median(plain), tracked: median(tracked), stats }));
} else if (kind === 'plain') {
  // Under somebody else's tracker.
  for (let i = 0; i < 3; i++) works.one();
  console.log(JSON.stringify({ plain: median(Array.from({ length: 5 }, works.one)) }));
} else {
  console.log(JSON.stringify(await turns(works[kind])));
}
