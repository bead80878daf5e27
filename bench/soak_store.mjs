// Processes that use one store while they are killed with SIGKILL, stopped and started again, for
// as long as asked: `node bench/soak_store.mjs --minutes 60 --clients 8`. Every object that was
// sealed and not deleted must be there with all its bytes, all the time. Prints a line a minute,
// and ends with 1 if anything was wrong.
//
// Each client asks for work and says when it is done. So this process knows of each object what it
// must be, and of a client that it kills in the middle of something what that was.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Store } from '../dist/index.js';
import { firstWrong, smallestBytes } from './soak_bytes.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    clients: { type: 'string', default: '8' },
  },
});
const minutes = Number(values.minutes);
const clientCount = Number(values.clients);

const capacityBytes = 256 * 2 ** 20;
const wantedLiveBytes = 96 * 2 ** 20;
const largestBytes = 8e6;
const killShare = 0.012;
const stopShare = 0.006;
const longestPauseMs = 60;
const longestAnswerMs = 30_000;
const mostWrong = 20;

const name = `soak-${process.pid}`;
const store = await Store.create({ name, capacityBytes, label: 'soak parent' });
const clientPath = fileURLToPath(new URL('soak_client.mjs', import.meta.url));
/** Of each object that was sealed and that nobody was told to delete: its seed and its size. */
const sealed = new Map();
const clients = new Set();
const did = { kills: 0, stops: 0, puts: 0, gets: 0, deletes: 0, checkedBytes: 0, refused: {} };
let wrong = 0;
let ending = false;

function isWrong(what) {
  wrong++;
  console.log(`WRONG: ${what}`);
}

const random = (below) => Math.floor(Math.random() * below);
const oneIn = (share) => Math.random() < share;
const randomSize = () =>
  Math.floor(Math.exp(Math.log(1e3) + Math.random() * Math.log(largestBytes / 1e3)));
const randomSealed = () => [...sealed.keys()][random(sealed.size)];
const liveBytes = () => [...sealed.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function putWork() {
  const work = { seed: random(2 ** 32), sizeBytes: Math.max(smallestBytes, randomSize()) };
  if (oneIn(0.3)) return { kind: 'copy', ...work };
  return { kind: 'put', ...work, pauseMs: oneIn(0.2) ? random(20) : 0, aborts: oneIn(0.1) };
}

/** From here on the object may be gone: its deletion is on its way. */
function deleteWork() {
  const id = randomSealed();
  sealed.delete(id);
  return { kind: 'delete', id };
}

function nextWork() {
  if (oneIn(0.02)) return { kind: 'giveBack', keepBytes: oneIn(0.5) ? 0 : 2 ** 24 };
  if (oneIn(0.1)) return { kind: 'release' };
  if (sealed.size > 0 && oneIn(0.4)) {
    const id = randomSealed();
    return { kind: 'get', id, seed: sealed.get(id).seed, writes: oneIn(0.2) };
  }
  const isFull = liveBytes() > wantedLiveBytes;
  return sealed.size > 0 && oneIn(isFull ? 0.8 : 0.3) ? deleteWork() : putWork();
}

/** What the store may answer to work that asks for something that is there. */
const allowed = {
  // A holder of the lock may be stopped; room may be in pieces, or held by readers.
  ERR_BUSY: () => true,
  ERR_FULL: (work) => work.kind === 'put' || work.kind === 'copy',
  // Somebody else was told to delete it meanwhile.
  ERR_GONE: (work) => work.kind === 'get' && !sealed.has(work.id),
};

function take(work, answer) {
  if (answer.code !== undefined) {
    if (work.kind === 'delete') sweepAway(work.id);
    did.refused[answer.code] = (did.refused[answer.code] ?? 0) + 1;
    if (!allowed[answer.code]?.(work))
      isWrong(`${JSON.stringify(work)}: ${answer.code}: ${answer.message}`);
    return;
  }
  if (answer.id !== undefined) sealed.set(answer.id, work);
  if (work.kind === 'put' || work.kind === 'copy') did.puts++;
  if (work.kind === 'get') did.gets++;
  if (work.kind === 'delete') did.deletes++;
  did.checkedBytes += answer.checkedBytes ?? 0;
}

/** Deletes what a client was to delete when it died, which it may have done. */
function sweepAway(id) {
  try {
    store.delete(id);
  } catch (error) {
    if (error.code !== 'ERR_GONE') isWrong(`delete of ${id}: ${error.message}`);
  }
}

/** Reads an object as another process does. */
async function verify(id, { seed, sizeBytes }) {
  let object;
  try {
    object = await store.get(id);
  } catch (error) {
    return isWrong(`object ${id} is lost: ${error.message}`);
  }
  const wrongAt = firstWrong(object.bytes, seed);
  if (object.bytes.length !== sizeBytes || wrongAt >= 0)
    isWrong(`object ${id} has ${object.bytes.length} bytes of ${sizeBytes}, wrong at ${wrongAt}`);
  object.release();
  did.checkedBytes += sizeBytes;
}

/** What a client was doing when it died is done or undone, and nothing between. */
async function bury(client) {
  clients.delete(client);
  const { work, pid } = client;
  if (work?.kind === 'delete') sweepAway(work.id);
  const unknown = store
    .list()
    .filter((object) => object.creator.pid === pid && object.state === 'sealed')
    .filter((object) => !sealed.has(object.id) && !isToBeDeleted(object.id));
  const isPut = work?.kind === 'copy' || (work?.kind === 'put' && !work.aborts);
  if (unknown.length > (isPut ? 1 : 0)) isWrong(`${pid} left ${unknown.length} objects`);
  for (const { id } of unknown) {
    await verify(id, work);
    sealed.set(id, work);
  }
}

const isToBeDeleted = (id) =>
  [...clients].some(({ work }) => work?.kind === 'delete' && work.id === id);

function kill(client) {
  if (client.process.kill('SIGKILL')) did.kills++;
}

function stop(client) {
  did.stops++;
  client.process.kill('SIGSTOP');
  client.stopped = true;
  setTimeout(() => {
    client.process.kill('SIGCONT');
    client.stopped = false;
  }, random(1500));
}

function give(client, work) {
  client.work = { ...work, number: client.count++, since: Date.now() };
  client.process.send(client.work, () => {});
  // In the middle of it, more often than not.
  if (ending) return;
  if (oneIn(killShare)) setTimeout(kill, random(8), client);
  else if (oneIn(stopShare)) setTimeout(stop, random(8), client);
}

function start() {
  const child = fork(clientPath, [name], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const client = {
    process: child,
    pid: child.pid,
    work: null,
    count: 0,
    ready: false,
    stopped: false,
  };
  clients.add(client);
  child.on('message', (answer) => {
    if (answer.ready) client.ready = true;
    else take(client.work, answer);
    client.work = null;
    setTimeout(
      () => !ending && child.connected && give(client, nextWork()),
      random(longestPauseMs),
    );
  });
  // All that it said before its end has been heard once its channel has ended.
  client.ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(async () => {
    if (child.signalCode !== 'SIGKILL' && !ending) isWrong(`a client ended with ${child.exitCode}`);
    await bury(client);
    if (!ending) setTimeout(() => !ending && start(), random(300));
  });
}

/** What the list says of a moment, and what would have to be otherwise in the next one too. */
function faultsOfList() {
  const listed = store.list();
  const ids = new Set(listed.filter((one) => one.state === 'sealed').map((one) => one.id));
  const faults = [...sealed.keys()].filter((id) => !ids.has(id)).map((id) => `${id} is not listed`);
  const living = new Set([process.pid, ...[...clients].map(({ pid }) => pid)]);
  for (const { id, state, creator, holders } of listed) {
    for (const { pid } of holders)
      if (!living.has(pid)) faults.push(`${id} is held by dead ${pid}`);
    if (state === 'created' && !living.has(creator.pid)) faults.push(`${id} is filled by no one`);
  }
  return faults;
}

async function checkList() {
  // A client number that is just taken again has what its dead owner left for a moment.
  let faults = faultsOfList();
  for (let look = 0; look < 5 && faults.length > 0; look++) {
    await sleep(100);
    const now = new Set(faultsOfList());
    faults = faults.filter((fault) => now.has(fault));
  }
  for (const fault of faults) isWrong(fault);
}

function checkAnswers() {
  for (const { work, pid, stopped } of clients) {
    if (work === null || stopped || Date.now() - work.since < longestAnswerMs) continue;
    isWrong(`${pid} has had no answer to ${JSON.stringify(work)} for ${longestAnswerMs} ms`);
    work.since = Date.now();
  }
}

/** Reads a few objects a second, so that each is looked at again and again. */
async function verifySome(count) {
  for (let i = 0; i < count && sealed.size > 0; i++) {
    const id = randomSealed();
    await verify(id, sealed.get(id));
  }
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const began = Date.now();

function report() {
  const stats = store.stats();
  const { kills, stops, puts, gets, deletes, checkedBytes, refused } = did;
  console.log(
    `${((Date.now() - began) / 60_000).toFixed(1)} min: ${kills} kills, ${stops} stops, ` +
      `${puts} puts, ${gets} gets, ${deletes} deletes, ${megabytes(checkedBytes)} checked, ` +
      `${megabytes(stats.liveBytes)} live in ${stats.objects} objects, ` +
      `${megabytes(stats.residentBytes)} resident, refused ${JSON.stringify(refused)}, ` +
      `${wrong} wrong`,
  );
}

/** Half of the clients are killed and half of them close; nothing of them may be left. */
async function endClients() {
  ending = true;
  await sleep(2 * longestPauseMs);
  for (const client of clients) {
    if (oneIn(0.5) || !client.ready || client.work !== null) kill(client);
    else give(client, { kind: 'close' });
  }
  await Promise.all([...clients].map(({ ended }) => ended));
}

async function checkEnd() {
  for (const [id, object] of sealed) await verify(id, object);
  for (const fault of faultsOfList()) isWrong(fault);
  await store.giveBack(0);
  const { liveBytes: live, residentBytes, objects } = store.stats();
  if (objects !== sealed.size) isWrong(`${objects} objects take room, of ${sealed.size}`);
  if (residentBytes > 1.2 * live) isWrong(`${megabytes(residentBytes)} for ${megabytes(live)}`);
  report();
  for (const id of sealed.keys()) store.delete(id);
  sealed.clear();
  (await store.createAsync(capacityBytes)).abort();
  store.close();
  const left = readdirSync('/dev/shm').filter((file) => file === `memdrift.${name}`);
  if (left.length > 0) isWrong(`${left} is left in /dev/shm`);
}

process.once('exit', () => {
  for (const client of clients) client.process.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

for (let i = 0; i < clientCount; i++) start();
let reportedAt = began;
while (Date.now() - began < minutes * 60_000 && wrong < mostWrong) {
  await sleep(500);
  await verifySome(5);
  await checkList();
  checkAnswers();
  if (Date.now() - reportedAt < 60_000) continue;
  report();
  reportedAt = Date.now();
}
await endClients();
await checkEnd();
console.log(wrong === 0 ? 'no lost byte' : `${wrong} things were wrong`);
process.exitCode = wrong === 0 ? 0 : 1;
