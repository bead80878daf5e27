// Writes and frees memory at random, in this process and in others that it starts: argv
// is a seed, seconds, a name and a depth. Moves in the first half of every three seconds.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const [seed, seconds, name, depth = '0'] = process.argv.slice(2);
const end = Date.now() + 1000 * Number(seconds);
let state = Number(seed) * 2654435761 + 12345;
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const blocks = [];
const objects = [];
let children = 0;

function start() {
  if (depth !== '0' || children >= 2) return;
  children++;
  const left = (end - Date.now()) / 1000;
  const args = [process.argv[1], random(1e6), left, name, 1];
  spawn(process.execPath, args.map(String), { stdio: 'ignore' }).on('exit', () => children--);
}

const actions = [
  () => blocks.length < 8 && blocks.push(Buffer.alloc((1 + random(20)) << 20, 1)),
  () => blocks.length > 0 && blocks[random(blocks.length)].fill(random(256)),
  () => blocks.splice(random(blocks.length), 1),
  () => objects.length < 20 && objects.push(Array.from({ length: 50_000 }, (_, i) => ({ i }))),
  () => objects.splice(0, 5),
  start,
];

while (Date.now() < end) {
  if (Date.now() % 3000 < 1500) actions[random(actions.length)]();
  await sleep(5 + random(45));
}
process.exit(0);
