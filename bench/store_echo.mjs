// The other end of a round trip: it answers each message, after a look at the object if told so.
import { connect } from 'node:net';

const [, , path, name, how, module = './store_memdrift.mjs'] = process.argv;
const { open } = await import(new URL(module, import.meta.url).href);
const store = await open(name);
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
