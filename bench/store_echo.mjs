// The other end of a round trip: it answers each message, after a look at the object if told so.
import { connect } from 'node:net';
import { Store } from '../dist/index.js';

const [, , path, name, how] = process.argv;
const store = await Store.open(name);
const socket = connect(path).setEncoding('utf8');

async function lookAt({ id, round }) {
  const object = await store.get(id);
  if (object.bytes[round] !== 3) throw new Error('a byte that nobody wrote');
  object.release();
}

socket.on('data', async (line) => {
  const message = JSON.parse(line);
  if (how === 'look') await lookAt(message);
  socket.write(`${JSON.stringify(message)}\n`);
});
socket.on('close', () => {
  store.close();
  process.exit();
});
