// The other end of a reference's round trip: it takes a reference, touches the object, and answers.
import { connect } from 'node:net';
import { Store } from '../dist/index.js';

const [, , path, name] = process.argv;
const store = await Store.open(name);
const socket = connect(path).setEncoding('utf8');
socket.on('data', async (line) => {
  const { id, round } = JSON.parse(line);
  const object = await store.get(id);
  if (object.bytes[round] !== 3) throw new Error('a byte that nobody wrote');
  object.release();
  socket.write(`${JSON.stringify({ type: 'array', round, id })}\n`);
});
socket.on('close', () => {
  store.close();
  process.exit();
});
